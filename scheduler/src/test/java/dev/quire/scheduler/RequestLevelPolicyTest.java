package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import dev.quire.model.sampling.SamplingParams;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.LongSupplier;
import java.util.function.ToIntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Padded batches of whole requests. Tables as in {@link PolicyTest}; a turn takes a millisecond, and a step lists filler
 * too: {@code .from-to} in prompts, {@code *from-to} in the place of a generated token.
 */
class RequestLevelPolicyTest {
    private static final Duration QUIET = Duration.ofMillis(10);
    private static final Duration WINDOW = Duration.ofMillis(3);
    private static final int BLOCKS = 100;

    private HandEngine hand = engine("static", 64, 4, BLOCKS);

    private static HandEngine engine(String mode, int budget, int rows, int blocks) {
        EngineConfig config =
                HandEngine.config().step(budget, rows).prefixCaching(false).build();
        return engine(mode, config, blocks);
    }

    private static HandEngine engine(String mode, EngineConfig config, int blocks) {
        ManualClock clock = new ManualClock();
        return new HandEngine(config, policy(mode, clock), blocks, clock);
    }

    private static SchedulingPolicy policy(String mode, LongSupplier clock) {
        return switch (mode) {
            case "static" -> RequestLevelPolicy.fixed(QUIET, clock);
            case "dynamic" -> RequestLevelPolicy.dynamic(WINDOW, clock);
            default -> new FcfsPolicy();
        };
    }

    private HandEngine.Reader submit(char name, int prompt, int output) {
        return hand.submit(HandEngine.request(HandEngine.prompt(name, prompt), output));
    }

    private void turn() {
        hand.turn();
        hand.clock.advance(1_000_000);
    }

    /** Turns until all have been answered. */
    private void finish(List<HandEngine.Reader> readers) {
        for (int i = 0; i < 10_000; i++) {
            if (readers.stream().allMatch(r -> r.read().ended())) {
                assertThat(hand.freeBlocks()).isEqualTo(hand.runner.limits().kvBlocks());
                return;
            }
            turn();
        }
        throw new AssertionError("somebody hangs");
    }

    private void whole(HandEngine.Reader reader) {
        for (int c = 0; c < reader.request.n(); c++) {
            assertThat(reader.output(c)).isEqualTo(FakeModel.alone(reader.request, c, reader.request.maxTokens()));
        }
    }

    private int sum(ToIntFunction<EngineListener.StepStats> figure) {
        return hand.steps.stream().mapToInt(figure).sum();
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', quoteCharacter = '"', textBlock = """
    # name                                 | mode    | budget | rows | blocks | arrivals                       | steps
      prompts and outputs are padded       | static  | 64     | 2    | 20     | a@0 3+3, b@0 5+1               | a0-3 b0-5 ; .3-5 ; a3-4 *5-6 ; a4-5 *6-7
      equal requests need no padding       | static  | 64     | 2    | 20     | a@0 3+3, b@0 3+3               | a0-3 b0-3 ; a3-4 b3-4 ; a4-5 b4-5
      nobody joins a batch                 | static  | 64     | 2    | 20     | a@0 2+3, b@0 2+1, c@1 2+1      | a0-2 b0-2 ; a2-3 *2-3 ; a3-4 *3-4 ; c0-2
      the first of a batch wait for others | static  | 64     | 2    | 20     | a@0 2+1, b@4 2+1               | a0-2 b0-2
      when it is quiet the batch begins    | static  | 64     | 3    | 20     | a@0 2+1, b@9 2+1, c@20 2+1     | a0-2 b0-2 ; c0-2
      the window ends with the first       | dynamic | 64     | 3    | 20     | a@0 2+1, b@2 2+1, c@4 2+1      | a0-2 b0-2 ; c0-2
      who waited during a batch goes on    | dynamic | 64     | 3    | 20     | a@0 2+9, b@4 2+1, c@9 2+1, d@9 2+1, e@9 2+1 | a0-2 ; a2-3 ; a3-4 ; a4-5 ; a5-6 ; a6-7 ; a7-8 ; a8-9 ; a9-10 ; b0-2 c0-2 d0-2 ; e0-2
      a full batch does not wait           | dynamic | 64     | 2    | 20     | a@0 2+1, b@0 2+1, c@3 2+1      | a0-2 b0-2 ; c0-2
      padding is cut to the budget         | static  | 4      | 2    | 20     | a@0 1+2, b@0 9+1               | a0-1 ; b0-4 ; b4-8 ; b8-9 ; .1-5 ; .5-9 ; a1-2 *9-10
      a batch is as large as the cache     | static  | 64     | 4    | 6      | a@0 4+5, b@0 4+5, c@0 4+5, d@0 4+1 | a0-4 b0-4 c0-4 ; a4-5 b4-5 c4-5 ; a5-6 b5-6 c5-6 ; a6-7 b6-7 c6-7 ; a7-8 b7-8 c7-8 ; d0-4
    """)
    void stepsAreAsPlanned(
            String name, String mode, int budget, int rows, int blocks, String arrivals, String expected) {
        hand = engine(mode, budget, rows, blocks);
        List<String> log = new ArrayList<>();
        hand.runner.log = log;
        Map<Integer, List<GenerationRequest>> byTurn = PolicyTest.parse(arrivals);
        int last = byTurn.keySet().stream().mapToInt(Integer::intValue).max().orElse(0);
        List<HandEngine.Reader> readers = new ArrayList<>();
        for (int turn = 0; turn <= last; turn++) {
            byTurn.getOrDefault(turn, List.of()).forEach(request -> readers.add(hand.submit(request)));
            turn();
        }
        finish(readers);

        assertThat(String.join(" ; ", log)).as(name).isEqualTo(expected);
        readers.forEach(this::whole);
    }

    @ParameterizedTest
    @ValueSource(strings = {"static", "dynamic", "continuous"})
    void everyTokenOfFillerIsCounted(String mode) {
        Random random = new Random(5);
        hand = engine(mode, 64, 4, 400);
        int rectangles = 0;
        int useful = 0;
        for (int batch = 0; batch < 50; batch++) {
            List<HandEngine.Reader> readers = new ArrayList<>();
            int longestPrompt = 0;
            int longestOutput = 0;
            for (int i = 0; i < 4; i++) {
                int prompt = 1 + random.nextInt(40);
                int output = 1 + random.nextInt(30);
                readers.add(submit((char) ('a' + i), prompt, output));
                longestPrompt = Math.max(longestPrompt, prompt);
                longestOutput = Math.max(longestOutput, output);
                useful += prompt + output - 1;
            }
            rectangles += 4 * (longestPrompt + longestOutput - 1);
            finish(readers);
            readers.forEach(this::whole);
        }

        int padding = sum(EngineListener.StepStats::paddingTokens);
        assertThat(sum(EngineListener.StepStats::tokens) - padding).isEqualTo(useful);
        assertThat(padding).isEqualTo(mode.equals("continuous") ? 0 : rectangles - useful);
        assertThat(sum(EngineListener.StepStats::promptTokens)).isLessThan(useful);
    }

    @Test
    void noFillerIsComputedAfterAnEndThatNobodyForesaw() {
        hand = engine("static", 64, 2, BLOCKS);
        int[] prompt = HandEngine.prompt('b', 4);
        int fourth = FakeModel.alone(HandEngine.request(prompt, 9), 0, 9)[3];
        HandEngine.Reader stops = hand.submit(
                new GenerationRequest("b", prompt, SamplingParams.GREEDY, 1, 9, 0, new int[] {fourth}, 0, null));
        finish(List.of(submit('a', 4, 2), stops));

        assertThat(stops.output(0)).hasSize(4);
        assertThat(sum(EngineListener.StepStats::paddingTokens)).isEqualTo(2);
    }

    @Test
    void fillerGoesNoFurtherThanASequenceCan() {
        hand = engine("static", 2048, 2, 4000);
        HandEngine.Reader longPrompt = submit('a', 4000, 2);
        HandEngine.Reader longOutput = submit('b', 2, 200);
        finish(List.of(longPrompt, longOutput)); // the runner checks the positions

        assertThat(sum(EngineListener.StepStats::paddingTokens)).isEqualTo(3998 + 198);
    }

    @Test
    void aRowOfTheCacheIsAsLongAsTheLongestPromptAndOutput() {
        finish(List.of(submit('a', 5, 3), submit('b', 2, 7), submit('c', 3, 1), submit('d', 3, 1)));

        assertThat(hand.steps).allSatisfy(s -> assertThat(s.kvAllocatedSlots()).isEqualTo(4 * (5 + 6)));
        assertThat(hand.steps.getLast().kvFilledSlots()).isBetween(7L, 8L);
    }

    @Test
    void blocksThatSequencesHoldAreWhatContinuousBatchingAllocates() {
        hand = engine("continuous", 64, 4, BLOCKS);
        finish(List.of(submit('a', 6, 2), submit('b', 3, 1)));

        assertThat(hand.steps)
                .extracting(EngineListener.StepStats::kvAllocatedSlots, EngineListener.StepStats::kvFilledSlots)
                .containsExactly(tuple(12L, 10L), tuple(8L, 7L));
    }

    @Test
    void choicesOfOneRequestAreRowsOfTheBatchOnceTheirFirstTokensAreDrawn() {
        HandEngine.Reader several = hand.submit(HandEngine.request(HandEngine.prompt('a', 3), 3, 6, 0));
        HandEngine.Reader one = submit('b', 3, 2);
        finish(List.of(several, one));

        whole(several);
        whole(one);
        assertThat(sum(EngineListener.StepStats::paddingTokens)).isEqualTo(1 + 5);
    }

    @Test
    void theRowOfOneWhoLeavesIsFiller() {
        hand = engine("static", 64, 2, BLOCKS);
        submit('c', 4, 30).generation.close();
        HandEngine.Reader stays = submit('a', 4, 10);
        HandEngine.Reader leaves = submit('b', 4, 20);
        HandEngine.Reader next = submit('d', 9, 3);
        for (int i = 0; i < 6; i++) {
            turn();
        }
        leaves.generation.close();
        finish(List.of(stays, leaves, next));

        whole(stays);
        whole(next);
        assertThat(sum(EngineListener.StepStats::paddingTokens)).isEqualTo(10 - 6);
    }

    @Test
    void aBatchThatAllHaveLeftIsOver() {
        hand = engine("static", 4, 2, BLOCKS);
        HandEngine.Reader first = submit('a', 3, 1000);
        HandEngine.Reader second = submit('b', 30, 1000);
        HandEngine.Reader next = submit('c', 3, 2);
        turn();
        first.generation.close();
        second.generation.close();
        finish(List.of(first, second, next));

        whole(next);
        assertThat(hand.steps).hasSizeLessThan(6);
    }

    @Test
    void oneWhoFailsEndsAlone() {
        HandEngine.Reader good = submit('a', 6, 9);
        HandEngine.Reader bad = submit('b', 6, 9);
        HandEngine.Reader next = submit('c', 6, 3);
        hand.runner.poison = row -> row.tokens()[0] == 'b' && row.to() > 8;
        finish(List.of(good, bad, next));

        assertThat(bad.failure).isNotNull();
        whole(good);
        whole(next);
    }

    @Test
    void aBatchWhoseReadersSleepMakesPlace() {
        EngineConfig config = new EngineConfig(
                64, 2, 0, 0, false, Speculation.NONE, 2.4, 2_000_000_000L, 4, 60_000_000_000L, 3, 10_000_000_000L);
        hand = engine("static", config, BLOCKS);
        HandEngine.Reader sleeper = submit('a', 3, 50);
        HandEngine.Reader awake = submit('b', 3, 5);
        HandEngine.Reader next = submit('c', 3, 3);
        for (int i = 0; i < 100 && !next.ended(); i++) {
            turn();
            awake.read();
            next.read();
        }
        assertThat(next.ended()).isTrue();
        finish(List.of(sleeper, awake, next));

        whole(sleeper);
        whole(awake);
        whole(next);
    }

    @ParameterizedTest
    @ValueSource(strings = {"static", "dynamic"})
    @Timeout(60)
    void anEngineThreadWakesWhenTheWaitIsOver(String mode) throws InterruptedException {
        try (Engine engine = Engine.start(
                new FakeRunner(FakeRunner.limits(64, 4, BLOCKS)),
                HandEngine.config().step(64, 4).build(),
                policy(mode, System::nanoTime),
                EngineListener.NONE)) {
            GenerationRequest request = HandEngine.request(HandEngine.prompt('a', 5), 3);
            Engine.Submission.Accepted accepted = (Engine.Submission.Accepted) engine.submit(request);
            try (Generation generation = accepted.generation()) {
                HandEngine.Reader reader = new HandEngine.Reader(request, generation);
                while (!reader.ended()) {
                    reader.take(generation.next());
                }
                whole(reader);
            }
        }
    }
}
