package dev.quire.kernels;

import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * One operation of a command list. The list is recorded once per model ({@link Backend#compile}) and run for each step;
 * sizes that change from step to step (tokens T, rows of logits R) come from the {@link Step}. Semantics, operand by
 * operand, are those of quire.h.
 */
public sealed interface Op {
    /** Which count of the step gives an operation its number of rows. */
    enum Rows {
        TOKENS,
        LOGITS
    }

    /** Activation of a gated feed-forward block. */
    enum Activation {
        SILU,
        GELU_TANH
    }

    /** Element type of the KV cache. INT8 and FP8 (E4M3) have a scale for each head of a key or value. */
    enum KvType {
        F32(4, 0),
        BF16(2, 30),
        INT8(1, 24),
        FP8(1, 101);

        private static final int MAX_SCALED_DIM = 512;

        private final int bytes;
        private final int code;

        KvType(int bytes, int code) {
            this.bytes = bytes;
            this.code = code;
        }

        /** Bytes per element. */
        public int bytes() {
            return bytes;
        }

        /** The type's number in quire.h. */
        public int code() {
            return code;
        }

        /** Whether each head of a key or value has a float32 scale behind the elements of its block. */
        public boolean scaled() {
            return bytes == 1;
        }

        /** What the number of elements in a head has to be, or an empty text where it is that. */
        String refusal(int headDim) {
            return switch (this) {
                case F32 -> "";
                case BF16 -> headDim % 2 == 0 ? "" : "bfloat16 takes an even one";
                case INT8, FP8 ->
                    headDim % 4 == 0 && headDim <= MAX_SCALED_DIM
                            ? ""
                            : name().toLowerCase(Locale.ROOT) + " takes multiples of 4 up to " + MAX_SCALED_DIM;
            };
        }
    }

    /**
     * The KV cache of one layer: K {@code [blocks, kvHeads, headDim, blockTokens]}, V
     * {@code [blocks, kvHeads, blockTokens, headDim]}, each somewhere in a buffer. In all types but float32 two neighbours
     * of the third dimension lie side by side: {@code [blocks, kvHeads, headDim / 2, blockTokens, 2]} and
     * {@code [blocks, kvHeads, blockTokens / 2, headDim, 2]}; where there are scales, {@code [blockTokens]} of them lie
     * behind each {@code [kvHead]}.
     */
    record KvLayer(
            Buffer buffer,
            long keyOffset,
            long valueOffset,
            int blocks,
            int blockTokens,
            int kvHeads,
            int headDim,
            KvType type) {
        public KvLayer {
            long bytes = Math.multiplyExact(blockBytes(blockTokens, kvHeads, headDim, type), (long) blocks);
            if (keyOffset < 0
                    || valueOffset < 0
                    || blocks < 1
                    || Math.max(keyOffset, valueOffset) + bytes > buffer.bytes()) {
                throw new IllegalArgumentException(buffer.label() + ": " + blocks + " blocks do not fit");
            }
        }

        /** Bytes of one block of keys (or of values) in one layer. */
        public static long blockBytes(int blockTokens, int kvHeads, int headDim, KvType type) {
            String refusal = type.refusal(headDim);
            if (blockTokens < 16 || blockTokens % 16 != 0 || kvHeads < 1 || headDim < 1 || !refusal.isEmpty()) {
                throw new IllegalArgumentException("blockTokens=" + blockTokens + " (a multiple of 16), kvHeads="
                        + kvHeads + ", headDim=" + headDim + (refusal.isEmpty() ? "" : " (" + refusal + ")"));
            }
            long head = (long) headDim * type.bytes() + (type.scaled() ? Float.BYTES : 0);
            return Math.multiplyExact((long) blockTokens * kvHeads, head);
        }
    }

    /**
     * Copies whole blocks of the cache, pairs from the step: for r in [0, regions), block dst of the region that begins
     * at {@code r * regionBytes} becomes block src.
     */
    record CopyBlocks(Buffer cache, int regions, long regionBytes, long blockBytes) implements Op {}

    /**
     * Moves whole blocks between the cache and {@code host}, memory of {@link Backend#allocateHost}, pairs from the step:
     * first those swapped out, then those swapped in. In the cache a block is a piece in each region, as for {@link
     * CopyBlocks}; in {@code host} its {@code regions} pieces lie one behind the other.
     */
    record SwapBlocks(Buffer cache, int regions, long regionBytes, long blockBytes, Buffer host, int hostBlocks)
            implements Op {}

    /** {@code out[t] = weight[token[t]] * scale}. */
    record Embed(Tensor out, Weight weight, float scale) implements Op {}

    /** Root mean square norm of each row (Zhang and Sennrich 2019). {@code weight} holds {@code [cols]} floats. */
    record RmsNorm(Tensor out, Tensor x, Tensor weight, float eps, Rows rows) implements Op {}

    /**
     * {@code out[r, n] = Σ_k x[r, k] W[n, k] + bias[n]}, W being the parts stacked along n (at most 3); with {@code add}
     * the result is added to {@code out}. {@code highPrecision} matters for quantised weights only.
     */
    record Linear(
            Tensor out,
            Tensor x,
            List<Weight> parts,
            @Nullable Tensor bias,
            boolean add,
            boolean highPrecision,
            Rows rows)
            implements Op {
        public Linear {
            parts = List.copyOf(parts);
        }
    }

    /**
     * Splits {@code qkv [T, (heads + 2 kvHeads) headDim]}, norms heads where given, rotates q and k (RoFormer), writes q
     * to {@code q [T, heads headDim]} and k, v into the cache at the step's slots. {@code cosSin [positions, rotaryDim]}.
     */
    record RopeKv(
            Tensor q,
            Tensor qkv,
            @Nullable Tensor qNorm,
            @Nullable Tensor kNorm,
            Tensor cosSin,
            KvLayer cache,
            int heads,
            int rotaryDim,
            boolean interleaved,
            float eps)
            implements Op {}

    /**
     * Causal attention over the paged cache (PagedAttention, Kwon et al. 2023). q, out {@code [T, heads headDim]};
     * {@code scale > 0}. Over a bfloat16 cache queries and softmax weights are rounded to bfloat16 as well, over int8 and
     * fp8 as quire.h says. Unspecified afterwards: out, where the next operation is a {@link Linear} of quantised weights that takes it.
     */
    record Attention(Tensor out, Tensor q, KvLayer cache, int heads, float scale, int window, float softcap)
            implements Op {}

    /**
     * {@code out[r, i] = act(gateUp[r, i]) gateUp[r, inner + i]}. Unspecified afterwards: gateUp, and out where the next
     * operation is a {@link Linear} of quantised weights that takes it.
     */
    record Gated(Tensor out, Tensor gateUp, Activation activation, Rows rows) implements Op {}

    /**
     * A mixture of gated feed-forward blocks: for each row the {@code chosen} largest of {@code logits [rows, experts]}
     * are taken, ties by lowest id, and weighed by their softmax over all experts, with {@code normalised} divided by the
     * sum of the chosen ones'. {@code sum[r] += Σ weight down_e (act(gate_e x[r]) up_e x[r])}, best first. gate, up
     * {@code [experts inner, x.cols]} and down {@code [experts x.cols, inner]} hold expert after expert. Without {@code add} sum
     * is overwritten.
     */
    record Experts(
            Tensor sum,
            Tensor x,
            Tensor logits,
            Weight gate,
            Weight up,
            Weight down,
            int chosen,
            boolean normalised,
            boolean add,
            Activation activation,
            boolean highPrecision,
            Rows rows)
            implements Op {
        /** Experts that there are. */
        public int experts() {
            return logits.cols();
        }
    }

    /** {@code out[r] = x[logitsRow[r]]}. */
    record GatherRows(Tensor out, Tensor x) implements Op {}

    /** Draws or scores the step's samples from {@code logits [R, vocab]}. */
    record Sample(Tensor logits) implements Op {}

    /** {@code x} becomes its sum over the ranks of the {@link DeviceGroup}, the same on each. */
    record AllReduce(Tensor x, Rows rows) implements Op {}

    /**
     * {@code out[r, k c + i] = x[r, i]} of rank k, c being the columns of x, the same on all ranks; for the first
     * {@code outCols} columns.
     *
     * @param out {@code [rows, outCols]}; null where this rank does not want them
     */
    record AllGather(@Nullable Tensor out, Tensor x, int outCols, Rows rows) implements Op {}
}
