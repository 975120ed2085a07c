package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import dev.quire.kernels.Op;
import dev.quire.kvcache.KvConfig;
import dev.quire.kvcache.KvStore;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class KvSizingTest {
    private static final KvStore.Shape SHAPE = new KvStore.Shape(2, 4, 8, Op.KvType.BF16);
    private static final long BLOCK = 2 * 2 * 4 * 8 * 16 * 2; // layers, K and V, heads, columns, tokens, bytes

    private static LoadOptions options(long kvBytes, int sequences) {
        return new LoadOptions("java", "auto", 0, kvBytes, 0, 0.9, "auto", 16, 0, 64, sequences, false, 1, null);
    }

    private static int blocks(long kvBytes, int sequences, long available) {
        KvConfig config = KvSizing.size(SHAPE, options(kvBytes, sequences), 100, OptionalLong.of(available));
        return config.blocks();
    }

    @Test
    void takesWhatWasAskedForAndNoMore() {
        assertThat(blocks(BLOCK * 10 + BLOCK - 1, 8, BLOCK * 11)).isEqualTo(10);
    }

    @Test
    void takesAShareOfWhatIsLeftUpToWhatAllSequencesCanUse() {
        assertThat(blocks(0, 1000, BLOCK * 100)).isEqualTo(40);
        assertThat(blocks(0, 3, BLOCK * 1000)).isEqualTo(21); // three sequences of seven blocks
        assertThat(blocks(0, 1 << 14, 1L << 50) * BLOCK).isLessThanOrEqualTo(KvSizing.CEILING);
    }

    @Test
    void claimsNoMorePositionsThanABusySmallServerFills() {
        assertThat(blocks(0, 1 << 14, 1L << 50)).isEqualTo(KvSizing.POSITIONS / 16);
        assertThat(blocks(BLOCK * 5000, 8, BLOCK * 5000)).isEqualTo(5000);
        KvConfig one = KvSizing.size(SHAPE, options(0, 8), 4 * KvSizing.POSITIONS, OptionalLong.of(1L << 50));
        assertThat(one.blocks()).isEqualTo(4 * KvSizing.POSITIONS / 16);
    }

    @Test
    void refusesACacheTooSmallForOneSequenceAndSaysWhatToSet() {
        assertThatThrownBy(() -> blocks(BLOCK * 6, 8, 1L << 40))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("--kv-cache-memory-bytes to at least " + 7 * BLOCK)
                .hasMessageContaining("--max-model-len to at most 96");
        assertThatThrownBy(() -> blocks(1, 8, 1L << 40)).hasMessageNotContaining("--max-model-len");
    }

    @Test
    void refusesACacheLargerThanTheMemoryThatIsLeft() {
        assertThatThrownBy(() -> blocks(BLOCK * 10, 8, BLOCK * 10 - 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("kv-cache-memory-bytes is " + BLOCK * 10 + ", but this process may take " + (BLOCK * 10 - 1)
                        + " more");
        assertThat(KvSizing.size(SHAPE, options(BLOCK * 10, 8), 100, OptionalLong.empty())
                        .blocks())
                .isEqualTo(10);
    }

    @Test
    void takesWhatAShareOfAGpuLeaves() {
        long total = BLOCK * 1000;
        // 90 of 100 parts may be taken in all, and weights, steps and others have taken 300 blocks.
        assertThat(onDevice(0, total - BLOCK * 300, total)).isEqualTo(600);
        assertThat(onDevice(BLOCK * 650, total - BLOCK * 300, total)).isEqualTo(650);
        assertThatThrownBy(() -> onDevice(BLOCK * 701, total - BLOCK * 300, total))
                .hasMessageContaining("this process may take " + BLOCK * 700 + " more");
        assertThatThrownBy(() -> onDevice(0, BLOCK * 50, total)).hasMessageContaining("there are 0;");
        KvConfig three = KvSizing.sizeOnDevice(SHAPE, options(0, 3), 100, total, total);
        assertThat(three.blocks()).isEqualTo(21); // three sequences of seven blocks fill no more
    }

    private static int onDevice(long kvBytes, long free, long total) {
        return KvSizing.sizeOnDevice(SHAPE, options(kvBytes, 1000), 100, free, total)
                .blocks();
    }

    @Test
    void keepsExactWhatIsToBeExactUnlessToldOtherwise() {
        assertThat(KvSizing.type("auto", true)).isEqualTo(Op.KvType.F32);
        assertThat(KvSizing.type("auto", false)).isEqualTo(Op.KvType.BF16);
        assertThat(KvSizing.type("bf16", true)).isEqualTo(Op.KvType.BF16);
        assertThat(KvSizing.type("bfloat16", true)).isEqualTo(Op.KvType.BF16);
        assertThat(KvSizing.type("int8", true)).isEqualTo(Op.KvType.INT8);
        assertThat(KvSizing.type("fp8", false)).isEqualTo(Op.KvType.FP8);
        assertThat(KvSizing.type("fp8_e4m3", false)).isEqualTo(Op.KvType.FP8);
        assertThatThrownBy(() -> KvSizing.type("fp8_e5m2", true))
                .hasMessageContaining("kvType is 'fp8_e5m2', allowed: auto, bf16, bfloat16, int8, fp8, fp8_e4m3, f32");
    }

    @Test
    void theSameBytesHoldNearlyTwiceAsManyPositionsInCodes() {
        long bytes = 64 << 20;
        KvStore.Shape shape = new KvStore.Shape(30, 3, 64, Op.KvType.BF16);
        int bfloat16 = positions(shape, bytes);
        for (Op.KvType type : List.of(Op.KvType.INT8, Op.KvType.FP8)) {
            int codes = positions(new KvStore.Shape(30, 3, 64, type), bytes);
            // A byte for each element and four for each head, of 2 x 64.
            assertThat((double) codes / bfloat16).isCloseTo(128.0 / 68, withinPercentage(1));
        }
        assertThatThrownBy(() -> new KvStore.Shape(2, 1, 6, Op.KvType.INT8).blockBytes(16))
                .hasMessageContaining("headDim=6 (int8 takes multiples of 4 up to 512)");
        assertThatThrownBy(() -> new KvStore.Shape(2, 1, 516, Op.KvType.FP8).blockBytes(16))
                .hasMessageContaining("headDim=516 (fp8 takes multiples of 4 up to 512)");
    }

    private static int positions(KvStore.Shape shape, long bytes) {
        KvConfig config = KvSizing.size(shape, options(bytes, 8), 100, OptionalLong.empty());
        return config.blocks() * config.blockTokens();
    }
}
