package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.model.Batch;
import dev.quire.model.ModelRunner;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Streams that generate, and a long prompt that arrives: no step with prompt tokens takes much longer than the same one
 * without, or than readers hardly notice when many wait, on devices of all kinds, from the first step of a fresh engine
 * on, and the prompt gets on all the same.
 */
class MixedStepsTest {
    private static final double MOST = 2.5;
    private static final int PROMPT = 4000;

    private final FakeRunner runner = new FakeRunner(new ModelRunner.Limits(2048, 64, 8192, 64, 64, 1 << 20, 8192, 16));
    private final ManualClock clock = new ManualClock();
    private final List<Double> gaps = new ArrayList<>();
    private final List<Generation> streams = new ArrayList<>();
    private final Engine engine = new Engine(
            runner,
            EngineConfig.DEFAULTS,
            new FcfsPolicy(),
            new EngineListener() {
                @Override
                public void onNextToken(long nanos) {
                    gaps.add(nanos / 1e6);
                }
            },
            clock);
    private Device device = (rows, prompt, _) -> rows + prompt;
    private Spoiler spoiler = (_, millis) -> millis;
    /** Of the steps, what they took by what they may take, times {@link #MOST}; and by what they take without prompts. */
    private double worst;

    private double stretches;
    private int mixed;
    /** Of those the steps whose rows are a multiple of 8. */
    private int whole;

    private int launched;
    private int prompts;
    private int longPrompts;

    /** What a step really costs. */
    private interface Device {
        /** Milliseconds for rows of generated tokens and prompt tokens up to a position. */
        double millis(int rows, int prompt, int position);
    }

    /** What the clock says instead. */
    private interface Spoiler {
        double millis(int step, double millis);
    }

    MixedStepsTest() {
        runner.checking = false;
        runner.onLaunch = this::launch;
    }

    private void launch(Batch batch) {
        int rows = 0;
        int prompt = 0;
        int position = 0;
        for (Batch.Row row : batch.rows()) {
            boolean generated = row.to() == row.from() + 1 && !row.samples().isEmpty();
            rows += generated ? 1 : 0;
            prompt += generated ? 0 : row.to() - row.from();
            position = Math.max(position, row.to());
        }
        double millis = device.millis(rows, prompt, position);
        if (rows > 0 && prompt > 0) {
            mixed++;
            whole += (rows + prompt) % 8 == 0 ? 1 : 0;
            double alone = device.millis(rows, 0, 0);
            double waiting = (streams.size() + longPrompts - rows) / (double) rows;
            double patience = StepCost.PATIENCE_NANOS / 1e6 * Math.clamp(waiting, Math.min(1, 2 * waiting), 2);
            stretches += millis / alone;
            worst = Math.max(worst, MOST * millis / Math.max(MOST * alone, 1.15 * patience));
        }
        double seen = spoiler.millis(launched++, millis);
        runner.atAwait = () -> clock.advance((long) (1e6 * seen));
    }

    private void streams(int count, int prompt) {
        for (int i = 0; i < count; i++) {
            start(HandEngine.request(HandEngine.prompt((char) ('a' + streams.size()), prompt), 6000));
        }
    }

    private Generation start(GenerationRequest request) {
        Generation generation = ((Engine.Submission.Accepted) engine.submit(request)).generation();
        streams.add(generation);
        return generation;
    }

    private void turns(int count) {
        for (int i = 0; i < count; i++) {
            engine.loop().turn();
            for (Generation stream : streams) {
                while (stream.poll() instanceof TokenEvent.Token) {}
            }
        }
    }

    /** Sends a long prompt and turns until it is through; how many turns that were. */
    private int longPrompt() {
        gaps.clear();
        longPrompts = 1;
        Generation generation = start(HandEngine.request(HandEngine.prompt((char) ('A' + prompts++), PROMPT), 1));
        streams.removeLast();
        for (int turn = 1; turn < 10_000; turn++) {
            turns(1);
            if (generation.poll() != null) {
                longPrompts = 0;
                return turn;
            }
        }
        throw new AssertionError("the prompt does not get on");
    }

    private double p99() {
        gaps.sort(null);
        return gaps.get((int) (gaps.size() * 0.99));
    }

    @ParameterizedTest
    @ValueSource(doubles = {0.05, 0.3, 1, 2, 8})
    void whateverAPromptTokenCosts(double tokenMillis) {
        // A chunk beside others costs half as much again per token: small chunks are dear.
        device = (rows, prompt, _) -> (rows > 0 ? 10 : 0) + prompt * tokenMillis * (rows > 0 ? 1.5 : 1);
        streams(8, 20);
        turns(40);
        int turns = longPrompt();

        assertThat(worst).isBetween(1.1, MOST);
        assertThat(p99()).isLessThanOrEqualTo(25);
        assertThat(turns).isLessThan((int) (3 * PROMPT * tokenMillis * 1.5 / 10) + 40);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 8, 32})
    void whereTokensAreFreeUntilTheArithmeticIsFull(int count) {
        device = (rows, prompt, _) -> Math.max(10, 0.6 * (rows + prompt));
        streams(count, 20);
        turns(40);
        int turns = longPrompt();

        assertThat(worst).isBetween(1.3, MOST);
        assertThat(turns).isLessThan(400);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 20})
    void theFirstLongPromptOfAFreshServer(int prompt) {
        device = (rows, tokens, position) -> 5 + rows + tokens * (0.5 + position / 4000.0);
        spoiler = (step, millis) -> step < 5 ? 6 * millis : millis;
        streams(8, prompt);
        turns(4);
        longPrompt();

        assertThat(worst).isLessThanOrEqualTo(MOST);
        assertThat(p99()).isLessThanOrEqualTo(3 * 13.0);
    }

    @Test
    void whereTimesJitterAndStepsHiccup() {
        Random random = new Random(7);
        device = (rows, prompt, _) -> 4 + 0.5 * rows + 0.4 * prompt;
        spoiler = (step, millis) -> millis * (0.85 + 0.3 * random.nextDouble()) * (step % 37 == 36 ? 8 : 1);
        streams(8, 20);
        turns(35);
        for (int i = 0; i < 5; i++) {
            longPrompt();
            turns(30);
        }

        assertThat(worst).isBetween(1.3, 1.15 * MOST);
    }

    @Test
    void noiseDoesNotKeepNewcomersWaiting() {
        Random random = new Random(7);
        device = (rows, prompt, _) -> 5 + 0.625 * rows + 0.5 * prompt;
        spoiler = (step, millis) -> millis * (0.55 + 0.9 * random.nextDouble()) * (step % 11 == 10 ? 2 : 1);
        streams(8, 20);
        turns(35);
        for (int i = 0; i < 5; i++) {
            longPrompt();
            turns(30);
        }

        assertThat(stretches / mixed).isBetween(1.8, MOST);
    }

    /** Kernels multiply 8 rows at once: a few more cost nearly as much. */
    @Test
    void chunksFillWholeBlocksOfRows() {
        device = (rows, prompt, _) -> 12 + rows + 0.3 * prompt;
        streams(5, 20);
        turns(40);
        longPrompt();

        assertThat(mixed).isGreaterThan(30);
        assertThat(whole).isGreaterThan(mixed * 9 / 10);
    }

    @Test
    void whenTheNumberOfStreamsChanges() {
        device = (rows, prompt, _) -> 2 + rows + 0.5 * prompt;
        streams(16, 20);
        turns(60);
        int full = longPrompt();
        for (int i = 0; i < 14; i++) {
            streams.removeFirst().close();
        }
        turns(1);
        int few = longPrompt();

        assertThat(worst).isBetween(1.3, MOST);
        assertThat(full).isLessThan(250);
        assertThat(few).isLessThan(1200);
    }

    @Test
    void whenTheDeviceBecomesFasterWhileAPromptRuns() {
        double[] speed = {1};
        device = (rows, prompt, _) -> speed[0] * (12 + rows) + 0.5 * prompt;
        streams(8, 20);
        turns(40);
        longPrompt();
        speed[0] = 0.5;
        worst = 0;
        longPrompt();
        assertThat(worst).isGreaterThan(MOST);
        worst = 0;
        longPrompt();

        assertThat(worst).isLessThanOrEqualTo(MOST);
    }

    /** The second tokens of several choices wait for the first, which the step in flight draws. */
    @Test
    void whenTheFirstTokensOfSeveralChoicesAreBeingDrawn() {
        device = (rows, prompt, _) -> 5 + rows + 0.5 * prompt;
        start(HandEngine.request(HandEngine.prompt('a', 20), 2, 50, 0));
        start(HandEngine.request(HandEngine.prompt('b', PROMPT), 1));
        turns(20);

        assertThat(gaps).isNotEmpty().allMatch(gap -> gap < 90);
    }

    @Test
    void manyPromptsShareWhatOneStepMayTake() {
        device = (rows, prompt, _) -> 10 + 3.0 * prompt;
        streams(8, 20);
        turns(40);
        for (int i = 0; i < 20; i++) {
            start(HandEngine.request(HandEngine.prompt((char) ('A' + i), 300), 1));
        }
        turns(200);

        assertThat(mixed).isGreaterThan(150);
        assertThat(worst).isLessThanOrEqualTo(MOST);
    }
}
