package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.model.Batch;
import dev.quire.model.ModelRunner;
import dev.quire.model.sampling.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Sequences that guess: what they yield is what they would have yielded anyway, in fewer steps. */
class SpeculatorTest {
    private static final int[] NO_TOKENS = {};

    private HandEngine hand = engine(new Speculation(8, 4, 2), FakeRunner.limits(64, 16, 256));
    private final List<Batch.Row> guessing = new ArrayList<>();
    private List<Batch.Row> launched = List.of();

    private HandEngine engine(Speculation speculation, ModelRunner.Limits limits) {
        HandEngine made =
                new HandEngine(HandEngine.config().speculation(speculation).build(), new FcfsPolicy(), limits);
        made.runner.onLaunch = batch -> {
            launched = batch.rows().stream().map(SpeculatorTest::copy).toList();
            launched.stream().filter(row -> row.drafts() > 0).forEach(guessing::add);
            int tokens =
                    launched.stream().mapToInt(row -> row.to() - row.from()).sum();
            made.clock.advance(1_000_000 + 100_000L * tokens);
        };
        return made;
    }

    /** Rows are used again for other steps. */
    private static Batch.Row copy(Batch.Row row) {
        Batch.Row copy = new Batch.Row(
                row.tokens(),
                row.from(),
                row.to(),
                row.blocks(),
                List.copyOf(row.samples()),
                row.scoresFrom(),
                row.scoresTo(),
                row.scoreLogprobs());
        copy.guess(row.drafts());
        return copy;
    }

    /** A request that makes the model repeat itself. */
    private static GenerationRequest repeating(int n, int maxTokens, int minTokens, int logprobs, int... ends) {
        return request(HandEngine.prompt('a', 10), n, maxTokens, minTokens, 1, logprobs, ends);
    }

    private static GenerationRequest request(
            int[] prompt, int n, int maxTokens, int minTokens, float repetition, int logprobs, int... ends) {
        SamplingParams params =
                new SamplingParams(1, 1, 1, 0, repetition, 0, 0, 11, logprobs, false, NO_TOKENS, new float[0]);
        return new GenerationRequest("r", prompt, params, n, maxTokens, minTokens, ends, 0, null);
    }

    private HandEngine.Reader run(GenerationRequest request) {
        HandEngine.Reader reader = hand.submit(request);
        while (hand.turn()) {
            reader.read();
        }
        reader.read();
        for (int c = 0; c < request.n(); c++) {
            assertThat(reader.output(c)).isEqualTo(FakeModel.alone(request, c, request.maxTokens()));
        }
        assertThat(hand.freeBlocks()).isEqualTo(hand.engine.loop().state.cache.total());
        return reader;
    }

    @Test
    void takesFewerStepsForTheSameTokens() {
        run(repeating(1, 200, 0, -1));
        int accepted = hand.steps.stream()
                .mapToInt(EngineListener.StepStats::acceptedTokens)
                .sum();
        int drawn = hand.steps.stream()
                .mapToInt(EngineListener.StepStats::drawnTokens)
                .sum();

        assertThat(hand.runner.steps).isEqualTo(200 - accepted).isLessThan(150);
        assertThat(drawn).isEqualTo(200);
        assertThat(guessing).anyMatch(row -> row.drafts() > 4);
        assertThat(hand.steps.stream()
                        .mapToInt(EngineListener.StepStats::guessedTokens)
                        .sum())
                .isEqualTo(guessing.stream().mapToInt(Batch.Row::drafts).sum());
    }

    @Test
    void guessesNothingWhenToldNotTo() {
        hand = engine(Speculation.NONE, FakeRunner.limits(64, 16, 256));
        run(repeating(1, 60, 0, -1));

        assertThat(hand.runner.steps).isEqualTo(60);
        assertThat(guessing).isEmpty();
    }

    @Test
    void everyChoiceGuessesForItself() {
        run(repeating(3, 100, 0, -1));

        assertThat(guessing.stream()
                        .map(row -> row.samples().getFirst().stream())
                        .distinct())
                .containsExactlyInAnyOrder(0, 1, 2);
    }

    @Test
    void endsAtAnEndTokenInsideOfARunThatWasRight() {
        int[] all = FakeModel.alone(repeating(1, 200, 0, -1), 0, 200);
        int ended = 0;
        for (int token : IntStream.of(all).skip(20).distinct().toArray()) {
            HandEngine.Reader r = run(repeating(1, 200, 20, -1, token));
            ended += r.finishes.getFirst() == FinishReason.STOP ? 1 : 0;
        }

        assertThat(ended).isGreaterThan(5);
        assertThat(guessing).isNotEmpty();
    }

    @Test
    void endTokensAreForbiddenJustUpToMinTokens() {
        int[] all = FakeModel.alone(repeating(1, 120, 0, -1), 0, 120);
        for (int end : IntStream.of(all).skip(40).distinct().toArray()) {
            for (int min = 60; min < 70; min++) {
                run(repeating(1, 120, min, -1, end));
            }
        }

        assertThat(guessing).anyMatch(row -> row.samples().getFirst().forbidden().length > 0);
    }

    @Test
    void neverGuessesBeyondMaxTokens() {
        for (int max = 40; max < 60; max++) {
            run(repeating(1, max, 0, -1));
            int end = 10 + max - 1;
            assertThat(guessing).isNotEmpty().allMatch(row -> row.to() <= end);
            guessing.clear();
        }
    }

    @Test
    void logProbabilitiesAreThoseOfEachPosition() {
        GenerationRequest request = repeating(1, 100, 0, 2);
        HandEngine.Reader r = hand.submit(request);
        List<TokenEvent.Scored> scored = new ArrayList<>();
        while (hand.turn()) {
            for (TokenEvent e = r.generation.poll(); e != null && !r.ended(); e = r.generation.poll()) {
                if (e instanceof TokenEvent.Token token) {
                    scored.add(token.token());
                }
                r.take(e);
            }
        }
        long prefix = 0;
        for (int token : request.prompt()) {
            prefix = FakeModel.extend(prefix, token);
        }
        for (TokenEvent.Scored token : scored) {
            assertThat(token.logprob()).isEqualTo(FakeModel.logprob(prefix, token.id()));
            assertThat(token.topIds()).hasSize(2);
            prefix = FakeModel.extend(prefix, token.id());
        }
        assertThat(scored).hasSize(100);
        assertThat(guessing).isNotEmpty();
    }

    @Test
    void doesNotGuessWherePenaltiesCountWhatWasDrawn() {
        hand = engine(new Speculation(8, 4, 1), FakeRunner.limits(64, 16, 512));
        int[] everyToken = IntStream.range(0, FakeModel.VOCAB).toArray();
        run(request(everyToken, 1, 60, 0, 1.2f, -1));
        assertThat(guessing).isEmpty();
        run(request(everyToken, 1, 60, 0, 1, -1));
        assertThat(guessing).isNotEmpty();
    }

    @Test
    void onlyWhatWasDrawnCanBeFoundAsAPrefix() {
        GenerationRequest first = repeating(1, 150, 0, -1);
        HandEngine.Reader r = run(first);
        int[] conversation = IntStream.concat(IntStream.of(first.prompt()), IntStream.of(r.output(0)))
                .toArray();
        run(request(conversation, 1, 100, 0, 1, -1));
        int cached = hand.finished.getLast().usage().cachedTokens();

        assertThat(guessing).isNotEmpty();
        assertThat(cached).isBetween(150, 159);
    }

    @Test
    void staysWithinTheLimitsOfAStep() {
        hand = engine(new Speculation(12, 4, 2), new ModelRunner.Limits(9, 4, 4096, 3, 24, 40, 64, 4));
        List<HandEngine.Reader> readers = new ArrayList<>();
        for (char name = 'a'; name < 'd'; name++) {
            readers.add(hand.submit(request(HandEngine.prompt(name, 6), 1, 60, 30, 1, -1, 1, 2, 3, 4, 5, 6, 7)));
        }
        while (hand.turn()) {
            readers.forEach(HandEngine.Reader::read);
        }

        assertThat(readers)
                .allSatisfy(r -> assertThat(r.read().output(0)).isEqualTo(FakeModel.alone(r.request, 0, 60)));
        assertThat(guessing).isNotEmpty().allMatch(row -> row.drafts() <= 3);
    }

    @Test
    void givesBackTheBlocksOfWrongGuesses() {
        hand.submit(repeating(1, 150, 0, -1));
        hand.submit(request(HandEngine.prompt('b', 11), 1, 150, 0, 1, -1));
        while (hand.turn()) {
            for (Batch.Row row : launched) {
                assertThat(row.blocks().size()).isLessThanOrEqualTo((row.to() + 3) / 4);
            }
        }
        assertThat(guessing).anyMatch(row -> row.drafts() > 4);
    }

    /** Nor does it take the blocks for which the newcomer waits. */
    @Test
    void guessesOnWhileANewcomerWaitsForBlocks() {
        hand = engine(new Speculation(8, 4, 2), FakeRunner.limits(64, 16, 64));
        HandEngine.Reader a = hand.submit(repeating(1, 200, 0, -1));
        while (a.read().output(0).length < 60) {
            hand.turn();
        }
        HandEngine.Reader b = hand.submit(request(HandEngine.prompt('b', 200), 1, 3, 0, 1, -1));
        guessing.clear();
        int waited = 0;
        for (; !a.read().ended(); waited++) {
            hand.turn();
            for (Batch.Row row : launched) {
                assertThat(row.blocks().size()).isLessThanOrEqualTo((row.to() - row.drafts() + 3) / 4);
            }
        }

        assertThat(b.read().output(0)).isEmpty();
        assertThat(guessing).isNotEmpty();
        assertThat(waited).isLessThan(120);
        hand.run();
        assertThat(b.read().ended()).isTrue();
    }

    @Test
    void guessesNothingInAStepWithPromptTokens() {
        HandEngine.Reader a = hand.submit(repeating(1, 400, 0, -1));
        for (int i = 0; i < 40; i++) {
            hand.turn();
            a.read();
        }
        HandEngine.Reader r = hand.submit(request(HandEngine.prompt('b', 400), 1, 3, 0, 1, -1));
        int mixed = 0;
        int before = guessing.size();
        for (int i = 0; i < 200 && !r.read().ended(); i++) {
            hand.turn();
            a.read();
            boolean prompts = launched.stream().anyMatch(row -> row.samples().isEmpty());
            mixed += prompts && launched.size() > 1 ? 1 : 0;
            assertThat(prompts && launched.stream().anyMatch(row -> row.drafts() > 0))
                    .isFalse();
        }
        assertThat(before).isPositive();
        assertThat(mixed).isGreaterThan(5);
        assertThat(r.ended()).isTrue();
    }

    /** Each token takes a fifth of what a step of one takes: as many guesses as there are would make it 2.6 times as long. */
    @Test
    void stretchesAStepNoMoreThanPromptsMay() {
        hand = engine(new Speculation(40, 4, 2), FakeRunner.limits(64, 16, 256));
        hand.runner.onLaunch = batch -> {
            batch.rows().stream()
                    .map(SpeculatorTest::copy)
                    .filter(row -> row.drafts() > 0)
                    .forEach(guessing::add);
            int tokens =
                    batch.rows().stream().mapToInt(row -> row.to() - row.from()).sum();
            hand.clock.advance(4_000_000 + 1_000_000L * tokens);
        };
        run(repeating(1, 400, 0, -1));

        // 2.3 times 5 ms, less the one that a step takes anyway; and as much again while the price is not known.
        assertThat(guessing).hasSizeGreaterThan(5).allMatch(row -> row.drafts() <= 13);
        assertThat(guessing.subList(guessing.size() / 2, guessing.size())).allMatch(row -> row.drafts() <= 8);
    }
}
