package dev.quire.kernels;

import dev.quire.kernels.Op.KvLayer;
import dev.quire.kernels.Op.KvType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Rotation and attention of {@link JavaBackend}. Sums are in double; what is not stored is rounded as a bfloat16 cache
 * has it, and else exact.
 */
final class JavaAttention {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
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
        int d = cache.headDim();
        for (int h = 0; h < cache.kvHeads(); h++) {
            JavaCache.write(cache, cache.keyOffset(), slot, h, row, from + h * d);
            JavaCache.write(cache, cache.valueOffset(), slot, h, row, from + (cache.kvHeads() + h) * d);
        }
    }

    private static void round(float[] values, KvType type) {
        for (int i = 0; type == KvType.BF16 && i < values.length; i++) {
            values[i] = JavaCache.bfloat16(values[i]);
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
        int d = cache.headDim();
        float[] head = new float[d];
        int kvHead = query.head / (op.heads() / cache.kvHeads());
        int position = step.positions.getAtIndex(INT, query.token);
        int first = op.window() == 0 ? 0 : Math.max(0, position - op.window() + 1);
        double[] weights = new double[position - first + 1];
        double largest = Double.NEGATIVE_INFINITY;
        int qAt = (query.token * op.heads() + query.head) * d;
        for (int p = first; p <= position; p++) {
            int slot = slot(step, query.sequence, p, cache.blockTokens());
            JavaCache.read(cache, cache.keyOffset(), slot, kvHead, head);
            double sum = 0;
            for (int i = 0; i < d; i++) {
                sum += (double) query.q[qAt + i] * head[i];
            }
            double score = sum * op.scale();
            weights[p - first] = op.softcap() == 0 ? score : op.softcap() * Math.tanh(score / op.softcap());
            largest = Math.max(largest, weights[p - first]);
        }
        double total = 0;
        double[] out = new double[d];
        for (int p = first; p <= position; p++) {
            double exact = Math.exp(weights[p - first] - largest);
            double weight = cache.type() == KvType.BF16 ? JavaCache.bfloat16((float) exact) : exact;
            total += weight;
            int slot = slot(step, query.sequence, p, cache.blockTokens());
            JavaCache.read(cache, cache.valueOffset(), slot, kvHead, head);
            for (int i = 0; i < d; i++) {
                out[i] += weight * head[i];
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
