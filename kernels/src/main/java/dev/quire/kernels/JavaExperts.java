package dev.quire.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The mixture of experts of {@link JavaBackend}: row by row, each expert's block in double. */
final class JavaExperts {
    private JavaExperts() {}

    static void run(Op.Experts op, int rows, JavaThreads threads) {
        threads.forEach(rows, row -> row(op, row));
    }

    private static void row(Op.Experts op, int row) {
        int cols = op.x().cols();
        float[] x = new float[cols];
        float[] logits = new float[op.experts()];
        float[] sum = new float[cols];
        JavaKernels.read(JavaKernels.memory(op.x()), row, x, cols);
        JavaKernels.read(JavaKernels.memory(op.logits()), row, logits, logits.length);
        if (op.add()) {
            JavaKernels.read(JavaKernels.memory(op.sum()), row, sum, cols);
        }
        int[] chosen = best(logits, op.chosen());
        double largest = logits[chosen[0]];
        double total = 0;
        if (op.normalised()) {
            for (int e : chosen) {
                total += Math.exp(logits[e] - largest);
            }
        } else {
            for (float logit : logits) {
                total += Math.exp(logit - largest);
            }
        }
        for (int e : chosen) {
            double weight = Math.exp(logits[e] - largest) / total;
            float[] out = block(op, e, x);
            for (int i = 0; i < cols; i++) {
                sum[i] = (float) (sum[i] + weight * out[i]);
            }
        }
        JavaKernels.write(sum, JavaKernels.memory(op.sum()), row, cols);
    }

    /** The indices of the largest values, best first, ties by lowest index. */
    private static int[] best(float[] logits, int count) {
        int[] chosen = new int[count];
        boolean[] taken = new boolean[logits.length];
        for (int j = 0; j < count; j++) {
            int best = -1;
            for (int e = 0; e < logits.length; e++) {
                if (!taken[e] && (best < 0 || logits[e] > logits[best])) {
                    best = e;
                }
            }
            chosen[j] = best;
            taken[best] = true;
        }
        return chosen;
    }

    private static float[] block(Op.Experts op, int expert, float[] x) {
        int inner = op.down().cols();
        float[] gate = product(op.gate(), expert * inner, inner, x);
        float[] up = product(op.up(), expert * inner, inner, x);
        for (int i = 0; i < inner; i++) {
            gate[i] = (float) (JavaKernels.activate(op.activation(), gate[i]) * up[i]);
        }
        return product(op.down(), expert * x.length, x.length, gate);
    }

    /** {@code x Wᵀ} of rows {@code [first, first + rows)} of W. */
    private static float[] product(Weight weight, int first, int rows, float[] x) {
        MemorySegment stored = ((DeviceBuffer) weight.buffer()).segment();
        byte[] bytes = new byte[Math.toIntExact(weight.type().bytes(x.length))];
        float[] w = new float[x.length];
        float[] out = new float[rows];
        for (int i = 0; i < rows; i++) {
            MemorySegment.copy(
                    stored, ValueLayout.JAVA_BYTE, (long) (first + i) * bytes.length, bytes, 0, bytes.length);
            Dequantiser.row(weight.type(), bytes, x.length, w);
            out[i] = (float) JavaKernels.dot(x, 0, w);
        }
        return out;
    }
}
