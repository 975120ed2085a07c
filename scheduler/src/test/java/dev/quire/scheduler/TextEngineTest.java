package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.model.sampling.SamplingParams;
import dev.quire.model.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TextEngineTest {
    private static final int[] PROMPT = {5, 6, 7};

    private final FakeRunner runner = new FakeRunner(FakeRunner.limits(64, 16, 64));
    private final Engine engine = Engine.start(runner, EngineConfig.DEFAULTS, new FcfsPolicy(), EngineListener.NONE);

    @AfterEach
    void close() {
        engine.close();
        assertThat(engine.facts().kvUsedBlocks()).isZero();
    }

    /** Token 12 is "<12>". */
    private static final class Numbers implements Tokenizer {
        final int[] eos;

        Numbers(int... eos) {
            this.eos = eos;
        }

        @Override
        public int vocabSize() {
            return FakeModel.VOCAB;
        }

        @Override
        public int[] encode(CharSequence text, boolean addSpecial, boolean parseSpecial, int limit) {
            throw new UnsupportedOperationException();
        }

        @Override
        public byte[] bytes(int id) {
            return ("<" + id + ">").getBytes(StandardCharsets.UTF_8);
        }

        @Override
        public boolean isSpecial(int id) {
            return false;
        }

        @Override
        public String piece(int id) {
            return "<" + id + ">";
        }

        @Override
        public int idOf(String piece) {
            return -1;
        }

        @Override
        public boolean stripsLeadingSpace() {
            return false;
        }

        @Override
        public int bos() {
            return -1;
        }

        @Override
        public int[] eos() {
            return eos;
        }
    }

    /** Polls a stream, and waits for its news in between. */
    private static final class Reader {
        private final TextStream stream;
        private final Semaphore news = new Semaphore(0);

        Reader(TextStream stream) {
            this.stream = stream;
            stream.onNews(news::release);
        }

        TextEvent next() throws InterruptedException {
            TextEvent event = stream.poll();
            while (event == null) {
                news.acquire();
                event = stream.poll();
            }
            return event;
        }
    }

    /** What a stream has said. */
    private static final class Said {
        final StringBuilder[] text;
        final @Nullable FinishReason[] finish;
        final @Nullable Object[] reason;
        final List<Integer> prompt = new ArrayList<>();
        int tokens;
        boolean promptFirst = true;

        @Nullable
        Usage usage;

        Said(TextStream stream, int n) throws InterruptedException {
            text = new StringBuilder[n];
            finish = new @Nullable FinishReason[n];
            reason = new @Nullable Object[n];
            for (int i = 0; i < n; i++) {
                text[i] = new StringBuilder();
            }
            Reader reader = new Reader(stream);
            while (usage == null) {
                switch (reader.next()) {
                    case TextEvent.Delta delta -> {
                        assertThat(finish[delta.choice()]).isNull();
                        text[delta.choice()].append(delta.text());
                        finish[delta.choice()] = delta.finish();
                        reason[delta.choice()] = delta.stopReason();
                        tokens += delta.tokens().size();
                    }
                    case TextEvent.Prompt(List<TextEvent.TokenText> scored) -> {
                        promptFirst = tokens == 0;
                        assertThat(scored.getFirst().logprob()).isNaN();
                        scored.forEach(t -> prompt.add(t.id()));
                    }
                    case TextEvent.Done(Usage used) -> usage = used;
                    case TextEvent.Failed(String message) -> throw new AssertionError(message);
                }
            }
            assertThat(reader.next()).isInstanceOf(TextEvent.Done.class);
        }
    }

    private Said say(TextRequest request, int... eos) throws InterruptedException {
        TextEngine texts = new TextEngine(engine, new Numbers(eos));
        return switch (texts.start(request)) {
            case TextEngine.Start.Started(TextStream stream) -> {
                try (stream) {
                    yield new Said(stream, request.n());
                }
            }
            case TextEngine.Start.Refused(Refusal refusal) -> throw new AssertionError(refusal.toString());
        };
    }

    private static int[] alone(int choice, int tokens) {
        return FakeModel.alone(HandEngine.request(PROMPT, 4, tokens, 0), choice, tokens);
    }

    private static String text(int[] tokens, int count) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < count; i++) {
            text.append('<').append(tokens[i]).append('>');
        }
        return text.toString();
    }

    private static TextRequest request(int n, int max, List<String> stop, int[] stopIds, boolean include) {
        return new TextRequest(
                "t", PROMPT, SamplingParams.GREEDY, n, max, 0, false, stop, stopIds, include, true, 0, null);
    }

    @Test
    void textOfAllTokens() throws Exception {
        Said said = say(request(1, 5, List.of(), new int[0], false));

        assertThat(said.text[0]).hasToString(text(alone(0, 5), 5));
        assertThat(said.finish[0]).isEqualTo(FinishReason.LENGTH);
        assertThat(said.usage).isEqualTo(new Usage(3, 5, 0));
    }

    @Test
    void aStopStringEndsItsChoiceOnly() throws Exception {
        int[] second = alone(1, 30);
        String stop = second[2] + "><" + second[3];
        Said said = say(request(2, 30, List.of(stop), new int[0], false));

        assertThat(said.text[1]).hasToString(text(second, 2) + "<");
        assertThat(said.finish[1]).isEqualTo(FinishReason.STOP);
        assertThat(said.reason[1]).isEqualTo(stop);
        assertThat(said.text[0]).hasToString(text(alone(0, 30), 30));
        assertThat(said.finish[0]).isEqualTo(FinishReason.LENGTH);
        assertThat(said.usage).isEqualTo(new Usage(3, 34, 0));
        assertThat(said.tokens).isEqualTo(34);
    }

    @Test
    void aStopStringBeforeMinTokensIsText() throws Exception {
        int[] tokens = alone(0, 9);
        List<String> stops = List.of("<" + tokens[1] + ">", "<" + tokens[4] + ">");
        Said said = say(new TextRequest(
                "t", PROMPT, SamplingParams.GREEDY, 1, 9, 4, false, stops, new int[0], false, true, 0, null));

        assertThat(said.text[0]).hasToString(text(tokens, 4));
        assertThat(said.reason[0]).isEqualTo(stops.get(1));
    }

    @Test
    void theStopStringStaysWhenAskedFor() throws Exception {
        int[] tokens = alone(0, 9);
        Said said = say(request(1, 9, List.of("<" + tokens[1] + ">"), new int[0], true));

        assertThat(said.text[0]).hasToString(text(tokens, 2));
    }

    @Test
    void textHeldBackForAStopStringComesOutAtTheEnd() throws Exception {
        int[] tokens = alone(0, 3);
        Said said = say(request(1, 3, List.of("<" + tokens[2] + ">more"), new int[0], false));

        assertThat(said.text[0]).hasToString(text(tokens, 3));
        assertThat(said.reason[0]).isNull();
    }

    @Test
    void theModelsEndTokenIsNotTextAndHasNoReason() throws Exception {
        int[] tokens = alone(0, 9);
        Said said = say(request(1, 9, List.of(), new int[0], false), tokens[4]);

        assertThat(said.text[0]).hasToString(text(tokens, 4));
        assertThat(said.finish[0]).isEqualTo(FinishReason.STOP);
        assertThat(said.reason[0]).isNull();
        assertThat(said.usage).isEqualTo(new Usage(3, 5, 0));
    }

    @Test
    void aStopTokenIsNamed() throws Exception {
        int[] tokens = alone(0, 9);
        Said said = say(request(1, 9, List.of(), new int[] {tokens[3]}, false));

        assertThat(said.text[0]).hasToString(text(tokens, 3));
        assertThat(said.reason[0]).isEqualTo(tokens[3]);
    }

    @Test
    void thePromptComesFirstAndWhole() throws Exception {
        SamplingParams params = HandEngine.params(0, false, 1, true);
        int[] prompt = HandEngine.prompt('a', 200);
        Said said =
                say(new TextRequest("t", prompt, params, 2, 2, 0, false, List.of(), new int[0], false, true, 0, null));

        assertThat(said.prompt.stream().mapToInt(Integer::intValue).toArray()).isEqualTo(prompt);
        assertThat(said.promptFirst).isTrue();
    }

    @Test
    void refusalsArePassedOn() {
        TextEngine texts = new TextEngine(engine, new Numbers());
        TextRequest request = new TextRequest(
                "t", new int[9000], SamplingParams.GREEDY, 1, 1, 0, false, List.of(), new int[0], false, true, 0, null);

        assertThat(texts.start(request))
                .isInstanceOfSatisfying(
                        TextEngine.Start.Refused.class,
                        refused -> assertThat(refused.refusal().reason()).isEqualTo(Refusal.Reason.TOO_LONG));
    }

    private static List<TextEvent.Delta> deltas(TextStream stream) throws InterruptedException {
        List<TextEvent.Delta> deltas = new ArrayList<>();
        Reader reader = new Reader(stream);
        while (reader.next() instanceof TextEvent.Delta delta) {
            deltas.add(delta);
        }
        return deltas;
    }

    /** The deltas of a request of which nothing is read before so many tokens are there. */
    private List<TextEvent.Delta> deltasReadLate(int logprobs, int tokens) throws InterruptedException {
        SamplingParams params = HandEngine.params(0, false, logprobs, false);
        TextRequest request =
                new TextRequest("t", PROMPT, params, 1, tokens, 0, false, List.of(), new int[0], false, true, 0, null);
        if (!(new TextEngine(engine, new Numbers()).start(request) instanceof TextEngine.Start.Started(var stream))) {
            throw new AssertionError("refused");
        }
        try (stream) {
            while (engine.facts().unfinished() > 0) {
                Thread.sleep(1);
            }
            return deltas(stream);
        }
    }

    @Test
    void tokensThatAreReadyTogetherStayDeltasOfTheirOwn() throws Exception {
        assertThat(deltasReadLate(-1, 6)).hasSize(6);
    }

    @Test
    void aReaderThatHasFallenBehindGetsLargerDeltas() throws Exception {
        List<TextEvent.Delta> deltas = deltasReadLate(-1, 40);

        assertThat(deltas).hasSizeLessThan(4);
        assertThat(deltas.stream().mapToInt(d -> d.tokens().size()).sum()).isEqualTo(40);
    }

    @Test
    void logProbabilitiesAreNeverMerged() throws Exception {
        assertThat(deltasReadLate(0, 40)).hasSize(40);
    }

    @Test
    void whoPollsOnNewsAloneGetsEverything() throws Exception {
        Said said = say(request(2, 30, List.of(), new int[0], false));

        assertThat(said.text[1]).hasToString(text(alone(1, 30), 30));
    }
}
