package dev.quire.kernels;

import dev.quire.kernels.Op.KvLayer;
import dev.quire.kernels.Op.KvType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** Rotation, the paged cache and attention of {@link JavaBackend}. Sums are in double. */
final class JavaAttention {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
    private static final ValueLayout.OfShort HALF = ValueLayout.JAVA_SHORT;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;

    private JavaAttention() {}

    static void ropeKv(Op.RopeKv op, Step step) {
        KvLayer cache = op.cache();
        int d = cache.headDim();
        int heads = op.heads();
        int kvHeads = cache.kvHeads();
        int width = (heads + 2 * kvHeads) * d;
        float[] row = new float[width];
        float[] cosSin = new float[op.rotaryDim()];
        float[] qNorm = floats(op.qNorm(), d);
        float[] kNorm = floats(op.kNorm(), d);
        MemorySegment qkv = JavaKernels.memory(op.qkv());
        MemorySegment table = JavaKernels.memory(op.cosSin());
        MemorySegment q = JavaKernels.memory(op.q());
        for (int t = 0; t < step.tokenCount(); t++) {
            JavaKernels.read(qkv, t, row, width);
            JavaKernels.read(table, step.positions.getAtIndex(INT, t), cosSin, cosSin.length);
            for (int h = 0; h < heads + kvHeads; h++) {
                float[] norm = h < heads ? qNorm : kNorm;
                if (norm.length > 0) {
                    JavaKernels.normalise(row, h * d, d, norm, op.eps());
                }
                rotate(row, h * d, cosSin, op.interleaved());
            }
            MemorySegment.copy(row, 0, q, FLOAT, (long) t * heads * d * Float.BYTES, heads * d);
            int slot = step.slots.getAtIndex(INT, t);
            if (slot >= 0) {
                store(row, heads * d, cache, slot);
            }
        }
    }

    private static float[] floats(@Nullable Tensor tensor, int n) {
        if (tensor == null) {
            return new float[0];
        }
        float[] values = new float[n];
        JavaKernels.read(JavaKernels.memory(tensor), 0, values, n);
        return values;
    }

    private static void rotate(float[] row, int from, float[] cosSin, boolean interleaved) {
        int half = cosSin.length / 2;
        for (int i = 0; i < half; i++) {
            int a = from + (interleaved ? 2 * i : i);
            int b = interleaved ? a + 1 : a + half;
            double cos = cosSin[i];
            double sin = cosSin[half + i];
            double x = row[a];
            double y = row[b];
            row[a] = (float) (x * cos - y * sin);
            row[b] = (float) (y * cos + x * sin);
        }
    }

    /** Writes the keys at {@code row[from..]} and the values after them to a slot of the cache. */
    private static void store(float[] row, int from, KvLayer cache, int slot) {
        MemorySegment memory = ((DeviceBuffer) cache.buffer()).segment();
        int d = cache.headDim();
        for (int h = 0; h < cache.kvHeads(); h++) {
            for (int i = 0; i < d; i++) {
                put(memory, cache.type(), keyAt(cache, slot, h, i), row[from + h * d + i]);
                put(memory, cache.type(), valueAt(cache, slot, h, i), row[from + (cache.kvHeads() + h) * d + i]);
            }
        }
    }

    /** Byte offset of element i of a key. */
    private static long keyAt(KvLayer c, int slot, int head, int i) {
        return c.keyOffset() + at(c, slot, head, i, slot % c.blockTokens(), c.blockTokens());
    }

    /** Byte offset of element i of a value. */
    private static long valueAt(KvLayer c, int slot, int head, int i) {
        return c.valueOffset() + at(c, slot, head, slot % c.blockTokens(), i, c.headDim());
    }

    /** Element (row, column) of this head's part of a block, whose rows lie side by side in pairs in bfloat16. */
    private static long at(KvLayer c, int slot, int head, int row, int column, int columns) {
        long base = ((long) (slot / c.blockTokens()) * c.kvHeads() + head) * c.headDim() * c.blockTokens();
        long element = c.type() == KvType.F32 ? row * columns + column : (row / 2 * columns + column) * 2 + row % 2;
        return (base + element) * c.type().bytes();
    }

    private static void put(MemorySegment memory, KvType type, long at, float value) {
        switch (type) {
            case F32 -> memory.set(FLOAT, at, value);
            case BF16 -> memory.set(HALF, at, (short) (Float.floatToRawIntBits(rounded(value)) >>> 16));
        }
    }

    private static float at(MemorySegment memory, KvType type, long at) {
        return switch (type) {
            case F32 -> memory.get(FLOAT, at);
            case BF16 -> Float.intBitsToFloat(memory.get(HALF, at) << 16);
        };
    }

    /** The nearest bfloat16, even on ties. */
    private static float rounded(float value) {
        int bits = Float.floatToIntBits(value); // one NaN, whose low half is 0
        return Float.intBitsToFloat(Float.isNaN(value) ? bits : bits + 0x7fff + (bits >>> 16 & 1) & 0xffff0000);
    }

    private static void round(float[] values, KvType type) {
        for (int i = 0; type == KvType.BF16 && i < values.length; i++) {
            values[i] = rounded(values[i]);
        }
    }

    static void attention(Op.Attention op, Step step, JavaThreads threads) {
        int rowsOfHeads = op.heads() * op.cache().headDim();
        float[] q = new float[step.tokenCount() * rowsOfHeads];
        MemorySegment.copy(JavaKernels.memory(op.q()), FLOAT, 0, q, 0, q.length);
        round(q, op.cache().type());
        int[] sequence = new int[step.tokenCount()];
        for (int b = 0; b < step.sequenceCount(); b++) {
            int end = step.queryStart.getAtIndex(INT, b + 1);
            for (int t = step.queryStart.getAtIndex(INT, b); t < end; t++) {
                sequence[t] = b;
            }
        }
        threads.forEach(step.tokenCount() * op.heads(), i -> {
            int t = i / op.heads();
            attend(op, step, new Query(q, t, i % op.heads(), sequence[t]));
        });
    }

    private record Query(float[] q, int token, int head, int sequence) {}

    private static void attend(Op.Attention op, Step step, Query query) {
        KvLayer cache = op.cache();
        MemorySegment memory = ((DeviceBuffer) cache.buffer()).segment();
        int d = cache.headDim();
        int kvHead = query.head / (op.heads() / cache.kvHeads());
        int position = step.positions.getAtIndex(INT, query.token);
        int first = op.window() == 0 ? 0 : Math.max(0, position - op.window() + 1);
        double[] weights = new double[position - first + 1];
        double largest = Double.NEGATIVE_INFINITY;
        int qAt = (query.token * op.heads() + query.head) * d;
        for (int p = first; p <= position; p++) {
            int slot = slot(step, query.sequence, p, cache.blockTokens());
            double sum = 0;
            for (int i = 0; i < d; i++) {
                sum += (double) query.q[qAt + i] * at(memory, cache.type(), keyAt(cache, slot, kvHead, i));
            }
            double score = sum * op.scale();
            weights[p - first] = op.softcap() == 0 ? score : op.softcap() * Math.tanh(score / op.softcap());
            largest = Math.max(largest, weights[p - first]);
        }
        double total = 0;
        double[] out = new double[d];
        for (int p = first; p <= position; p++) {
            double exact = Math.exp(weights[p - first] - largest);
            double weight = cache.type() == KvType.F32 ? exact : rounded((float) exact);
            total += weight;
            int slot = slot(step, query.sequence, p, cache.blockTokens());
            for (int i = 0; i < d; i++) {
                out[i] += weight * at(memory, cache.type(), valueAt(cache, slot, kvHead, i));
            }
        }
        MemorySegment target = JavaKernels.memory(op.out());
        for (int i = 0; i < d; i++) {
            target.setAtIndex(FLOAT, qAt + i, (float) (out[i] / total));
        }
    }

    private static int slot(Step step, int sequence, int position, int blockTokens) {
        long entry = (long) sequence * step.limits().blocksPerSequence() + position / blockTokens;
        return step.blockTable.getAtIndex(INT, entry) * blockTokens + position % blockTokens;
    }
}
