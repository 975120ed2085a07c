package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.model.Batch;
import dev.quire.model.ModelRunner;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class StepCostTest {
    private static final EngineConfig CONFIG = EngineConfig.DEFAULTS;

    @Test
    void takesTheWholeBudgetWhenNobodyGenerates() {
        StepCost cost = new StepCost(CONFIG);
        cost.observe(0, 100, 100_000);

        assertThat(cost.chunk(0, 2048)).isEqualTo(2048);
    }

    @Test
    void measuresAStepWithoutPromptsBeforeItMixes() {
        StepCost cost = new StepCost(CONFIG);
        cost.observe(0, 100, 100_000_000);
        assertThat(cost.chunk(8, 2040)).isZero();
        cost.observe(8, 0, 10_000_000);
        assertThat(cost.chunk(8, 2040)).isBetween(CONFIG.minChunk(), 14);
    }

    @Test
    void boundsAStepThatWouldTakeTooLong() {
        StepCost cost = new StepCost(CONFIG);
        cost.observe(0, 10, 10 * CONFIG.maxStepNanos() / 100);

        assertThat(cost.chunk(0, 2048)).isEqualTo(100);
    }

    @Test
    void promptsAlwaysGetSomething() {
        StepCost cost = new StepCost(CONFIG);
        cost.observe(0, 100, 100_000_000_000L);
        cost.observe(8, 0, 1000);

        assertThat(cost.chunk(8, 2040)).isEqualTo(CONFIG.minChunk());
        assertThat(cost.chunk(0, 2048)).isEqualTo(CONFIG.minChunk());
    }

    /** A device with the given prices, eight streams, and a prompt of 4,000 tokens that arrives: the gaps stay short. */
    @Test
    void aLongPromptDoesNotHoldUpThoseWhoGenerate() {
        for (double tokenMillis : new double[] {0.05, 0.3, 1, 2}) {
            List<Double> gaps = gaps(10, tokenMillis);
            gaps.sort(null);
            assertThat(gaps.get((int) (gaps.size() * 0.99)))
                    .as("a prompt token costs %s ms", tokenMillis)
                    .isLessThanOrEqualTo(3 * 10.0);
        }
    }

    private static List<Double> gaps(double stepMillis, double tokenMillis) {
        FakeRunner runner = new FakeRunner(new ModelRunner.Limits(2048, 64, 8192, 64, 64, 4096, 16));
        runner.checking = false;
        ManualClock clock = new ManualClock();
        List<Double> gaps = new ArrayList<>();
        boolean[] prefilling = {false};
        EngineListener listener = new EngineListener() {
            @Override
            public void onNextToken(long nanos) {
                if (prefilling[0]) {
                    gaps.add(nanos / 1e6);
                }
            }

            @Override
            public void onFirstToken(long nanos) {
                prefilling[0] = false;
            }
        };
        Engine engine = new Engine(runner, CONFIG, new FcfsPolicy(), listener, clock);
        // A chunk beside others costs half as much again per token: small chunks are dear.
        runner.onLaunch = batch -> {
            double nanos = 1e6 * (stepMillis + promptTokens(batch) * tokenMillis * (singles(batch) > 0 ? 1.5 : 1));
            runner.atAwait = () -> clock.advance((long) nanos);
        };
        List<Generation> streams = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            streams.add(start(engine, HandEngine.request(HandEngine.prompt((char) ('a' + i), 20), 3000)));
        }
        for (int i = 0; i < 40; i++) {
            turn(engine, streams);
        }
        prefilling[0] = true;
        streams.add(start(engine, HandEngine.request(HandEngine.prompt('z', 4000), 2)));
        while (prefilling[0]) {
            turn(engine, streams);
        }
        return gaps;
    }

    private static int singles(Batch batch) {
        int singles = 0;
        for (Batch.Row row : batch.rows()) {
            singles += row.to() - row.from() == 1 ? 1 : 0;
        }
        return singles;
    }

    private static int promptTokens(Batch batch) {
        int tokens = -singles(batch);
        for (Batch.Row row : batch.rows()) {
            tokens += row.to() - row.from();
        }
        return tokens;
    }

    private static Generation start(Engine engine, GenerationRequest request) {
        return ((Engine.Submission.Accepted) engine.submit(request)).generation();
    }

    private static void turn(Engine engine, List<Generation> streams) {
        engine.loop().turn();
        for (Generation stream : streams) {
            while (stream.poll() instanceof TokenEvent.Token) {}
        }
    }
}
