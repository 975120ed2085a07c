package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.kernels.Backend;
import dev.quire.kernels.Backends;
import dev.quire.kernels.DeviceGroup;
import dev.quire.kernels.KernelException;
import dev.quire.kernels.Op;
import dev.quire.kernels.Step;
import dev.quire.kernels.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Steps on two ranks whose programs sum up one matrix. */
@Timeout(value = 30, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RankThreadsTest {
    private static final Step.Limits LIMITS = new Step.Limits(8, 1, 1, 8, 1, 1);
    private static final int COLS = 3;

    private final DeviceGroup group = Backends.openGroup("cpu", "auto", 2, 2);
    private final List<Tensor> matrices = new ArrayList<>();
    private final List<Backend.Program> programs = new ArrayList<>();
    private final Step step = new Step(LIMITS);

    /** @param heights rows of each rank's matrix: no more tokens fit its program */
    private RankThreads threads(int... heights) {
        for (int r = 0; r < 2; r++) {
            Backend device = group.rank(r);
            float[] ones = new float[heights[r] * COLS];
            Arrays.fill(ones, r + 1);
            Tensor x = new Tensor(device.allocate(ones.length * 4L, "x"), 0, heights[r], COLS);
            device.upload(x.buffer(), 0, MemorySegment.ofArray(ones));
            matrices.add(x);
            programs.add(device.compile(List.of(new Op.AllReduce(x, Op.Rows.TOKENS))));
        }
        return new RankThreads(group, programs, LIMITS);
    }

    private Step step(int tokens) {
        step.clear();
        step.beginSequence();
        for (int t = 0; t < tokens; t++) {
            step.token(0, t, -1);
        }
        return step;
    }

    private float first(int rank) {
        float[] value = new float[1];
        group.rank(rank)
                .download(MemorySegment.ofArray(value), matrices.get(rank).buffer(), 0);
        return value[0];
    }

    @AfterEach
    void free() {
        programs.forEach(Backend.Program::close);
        matrices.forEach(x -> x.buffer().close());
        step.close();
        group.close();
    }

    @Test
    void eachStepRunsOnAllRanks() {
        try (RankThreads threads = threads(8, 8)) {
            for (float sum = 3; sum < 100_000; sum *= 2) {
                threads.submit(step(2));
                threads.await();
                assertThat(first(0)).isEqualTo(sum);
                assertThat(first(1)).isEqualTo(sum);
            }
        }
    }

    @Test
    void aStepThatTheFirstRankRefusesStartsNothing() {
        try (RankThreads threads = threads(4, 8)) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> threads.submit(step(5)))
                    .withMessageContaining("5 tokens, allowed: at most 4");
            threads.submit(step(4));
            threads.await();
            assertThat(first(1)).isEqualTo(3);
        }
    }

    @Test
    void aRankThatFailsTakesTheOthersAlong() {
        try (RankThreads threads = threads(8, 4)) {
            threads.submit(step(5)); // too many for rank 1 alone, for which rank 0 waits
            assertThatThrownBy(threads::await)
                    .isInstanceOf(KernelException.class)
                    .hasMessageContaining("5 tokens, allowed: at most 4")
                    .hasCauseInstanceOf(IllegalArgumentException.class);
            threads.submit(step(2));
            assertThatThrownBy(threads::await)
                    .isInstanceOf(KernelException.class)
                    .hasMessageContaining("the group was ended");
        }
    }
}
