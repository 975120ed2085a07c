package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.quire.model.Batch;
import dev.quire.model.ModelRunner;
import dev.quire.model.StepOutput;
import dev.quire.model.sampling.SamplingParams;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Counts what the engine thread allocates in warm steps, with the engine turned by hand. */
class EngineAllocationTest {
    private static final int STEPS = 2000;
    /** Long, so that no array of tokens or blocks has to grow while it is counted. */
    private static final int PROMPT = 5000;

    /** Of a step's statistics; the one object that a step leaves. */
    private static final int STATISTICS = 120;

    private static final ThreadMXBean THREADS = ManagementFactory.getPlatformMXBean(ThreadMXBean.class);

    /** Draws token 1 for everybody. */
    private static final class Ones implements ModelRunner, ModelRunner.Pending, StepOutput {
        @Override
        public Limits limits() {
            return new Limits(8192, 64, 8192, 64, 128, 1 << 20, 1 << 15, 16);
        }

        @Override
        public Pending launch(Batch batch) {
            return this;
        }

        @Override
        public StepOutput await() {
            return this;
        }

        @Override
        public long deviceNanos() {
            return 1;
        }

        @Override
        public int token(int sample) {
            return 1;
        }

        @Override
        public float logprob(int sample) {
            return -1;
        }

        @Override
        public int topToken(int sample, int i) {
            return i;
        }

        @Override
        public float topLogprob(int sample, int i) {
            return -i;
        }

        @Override
        public void close() {}
    }

    @ParameterizedTest
    @CsvSource({"16, -1", "32, -1", "64, -1", "32, 0"})
    void aStepLeavesItsStatisticsAndNothingForItsTokens(int sequences, int logprobs) {
        EngineConfig config =
                new EngineConfig.Builder().speculation(Speculation.NONE).build();
        Engine engine = new Engine(new Ones(), config, new FcfsPolicy(), EngineListener.NONE, System::nanoTime);
        List<Generation> generations = new ArrayList<>();
        SamplingParams params = new SamplingParams(0, 1, 0, 0, 1, 0, 0, 0, logprobs, false, new int[0], new float[0]);
        for (int i = 0; i < sequences; i++) {
            GenerationRequest request = new GenerationRequest(
                    "r", HandEngine.prompt((char) ('a' + i), PROMPT), params, 1, 3000, 0, new int[] {2}, 0, null);
            generations.add(((Engine.Submission.Accepted) engine.submit(request)).generation());
        }
        int[] read = new int[sequences];
        while (read[sequences - 1] < 50) {
            turn(engine, generations, read);
        }
        long allocated = 0;
        for (int i = 0; i < STEPS; i++) {
            allocated += turn(engine, generations, read);
        }

        assertThat(read[sequences - 1]).isGreaterThanOrEqualTo(STEPS);
        // The JVM itself may allocate once for what it links late; no object has less than 16 bytes.
        double perToken = (allocated - (double) STEPS * STATISTICS) / STEPS / sequences;
        assertThat(perToken).as("bytes a token").isLessThan(1);
    }

    /** One step, and all that it has drawn is read; the bytes that the step itself took. */
    private static long turn(Engine engine, List<Generation> generations, int[] read) {
        long before = THREADS.getCurrentThreadAllocatedBytes();
        engine.loop().turn();
        long allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
        for (int i = 0; i < read.length; i++) {
            while (generations.get(i).poll() instanceof TokenEvent.Token) {
                read[i]++;
            }
        }
        return allocated;
    }
}
