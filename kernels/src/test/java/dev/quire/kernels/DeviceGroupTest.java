package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.kernels.Op.Rows;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The collectives between ranks of the CPU library, and what is refused or ends a group. */
class DeviceGroupTest {
    private static final Step.Limits LIMITS = new Step.Limits(8, 2, 2, 8, 1, 1);

    /** One rank: its device, a matrix filled with a number, a program over it and a step. */
    private static final class Rank implements AutoCloseable {
        final Backend backend;
        final Tensor x;
        final Tensor out;
        final Backend.Program program;
        final Step step = new Step(LIMITS);

        Rank(Backend backend, float value) {
            this.backend = backend;
            x = new Tensor(backend.allocate(8 * 5 * 4, "x"), 0, 8, 5);
            out = new Tensor(backend.allocate(8 * 9 * 4, "out"), 0, 8, 9);
            float[] values = new float[8 * 5];
            for (int i = 0; i < values.length; i++) {
                values[i] = value + i;
            }
            backend.upload(x.buffer(), 0, MemorySegment.ofArray(values));
            program = backend.compile(
                    List.of(new Op.AllGather(out, x, 9, Rows.LOGITS), new Op.AllReduce(x, Rows.TOKENS)));
        }

        void start() {
            step.clear();
            step.beginSequence();
            for (int t = 0; t < 3; t++) {
                step.token(0, t, -1);
            }
            step.logits();
            step.logits();
            backend.submit(program, step);
        }

        float[] read(Tensor tensor, int rows) {
            float[] values = new float[rows * tensor.cols()];
            backend.download(MemorySegment.ofArray(values), tensor.buffer(), 0);
            return values;
        }

        @Override
        public void close() {
            program.close();
            step.close();
            x.buffer().close();
            out.buffer().close();
        }
    }

    @Test
    void ranksSeeTheSumAndEachOthersColumns() {
        try (DeviceGroup group = Backends.openGroup("cpu", "auto", 2, 2)) {
            List<Rank> ranks = List.of(new Rank(group.rank(0), 100), new Rank(group.rank(1), 1000));
            ranks.forEach(Rank::start);
            ranks.forEach(rank -> rank.backend.await());
            for (Rank rank : ranks) {
                assertThat(rank.read(rank.out, 3)).startsWith(100, 101, 102, 103, 104, 1000, 1001, 1002, 1003, 105);
                assertThat(rank.read(rank.out, 3)).endsWith(0, 0); // two rows of logits
                float[] sums = rank.read(rank.x, 4);
                assertThat(sums).startsWith(1100, 1102, 1104);
                assertThat(sums[14]).isEqualTo(1128);
            }
            assertThat(ranks.get(0).read(ranks.get(0).x, 4)[15]).isEqualTo(115); // beyond the tokens
            ranks.forEach(Rank::close);
        }
    }

    @Test
    void aRankWhoseCompanionsStayAwayFailsWhenTheGroupEnds() {
        try (DeviceGroup group = Backends.openGroup("cpu", "auto", 2, 2)) {
            try (Rank first = new Rank(group.rank(0), 1);
                    Rank second = new Rank(group.rank(1), 2)) {
                first.start();
                group.abort();
                assertThatThrownBy(first.backend::await)
                        .isInstanceOf(KernelException.class)
                        .hasMessageContaining("rank 0 of 2: the group was ended");
                assertThatThrownBy(second::start)
                        .isInstanceOf(KernelException.class)
                        .hasMessageContaining("rank 1 of 2: the group was ended");
            }
        }
    }

    @Test
    void collectivesNeedAGroupAndFittingColumns() throws Exception {
        List<Op> tooWide = new ArrayList<>();
        try (Rig alone = new Rig(Backends.open("cpu", "auto", 1))) {
            Op reduce = new Op.AllReduce(alone.zeros("x", 1, 4), Rows.TOKENS);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> alone.backend.compile(List.of(reduce)))
                    .withMessage("operation 0 (AllReduce): ranks is 0, allowed: 1 or more, those of a group");
        }
        try (DeviceGroup group = Backends.openGroup("cpu", "auto", 2, 2)) {
            Rig rig = new Rig(group.rank(0));
            tooWide.add(new Op.AllGather(null, rig.zeros("x", 1, 4), 9, Rows.LOGITS));
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> rig.backend.compile(tooWide))
                    .withMessageContaining("outCols is 9, allowed: 1 to 8");
            rig.release();
        }
    }

    @Test
    void aStepIsCopiedWithoutItsSamples() {
        try (Step step = new Step(LIMITS);
                Step copy = new Step(LIMITS)) {
            step.copyBlock(1, 0);
            step.beginSequence();
            step.block(7);
            step.token(5, 2, 114);
            step.sample(step.logits(), -1, 3, new Step.SampleSpec(0, 1, 0, 0, 1, 0, 0, -1, 0, 0));
            copy.copyUnsampled(step);
            assertThat(List.of(copy.tokenCount(), copy.sequenceCount(), copy.logitsCount(), copy.copyCount()))
                    .containsOnly(1);
            assertThat(copy.sampleCount()).isZero();
            assertThat(copy.blockCount(0)).isEqualTo(1);
            assertThat(copy.tokens.mismatch(step.tokens)).isEqualTo(-1);
            assertThat(copy.positions.mismatch(step.positions)).isEqualTo(-1);
            assertThat(copy.slots.mismatch(step.slots)).isEqualTo(-1);
            assertThat(copy.queryStart.mismatch(step.queryStart)).isEqualTo(-1);
            assertThat(copy.blockTable.mismatch(step.blockTable)).isEqualTo(-1);
            assertThat(copy.logitsRow.mismatch(step.logitsRow)).isEqualTo(-1);
            assertThat(copy.copies.mismatch(step.copies)).isEqualTo(-1);
        }
    }
}
