package dev.quire.kernels;

import dev.quire.kernels.Op.Activation;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The operations of {@link JavaBackend} that treat rows one by one. Sums are in double. */
final class JavaKernels {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
    private static final int ROWS_PER_TASK = 16;

    private JavaKernels() {}

    /** The memory of a view, from its first element to the end of its capacity. */
    static MemorySegment memory(Tensor tensor) {
        long bytes = (long) tensor.rows() * tensor.cols() * Float.BYTES;
        return ((DeviceBuffer) tensor.buffer()).segment().asSlice(tensor.offset(), bytes);
    }

    static void read(MemorySegment memory, long row, float[] into, int cols) {
        MemorySegment.copy(memory, FLOAT, row * cols * Float.BYTES, into, 0, cols);
    }

    static void write(float[] from, MemorySegment memory, long row, int cols) {
        MemorySegment.copy(from, 0, memory, FLOAT, row * cols * Float.BYTES, cols);
    }

    static void copyBlocks(Op.CopyBlocks op, Step step) {
        MemorySegment cache = ((DeviceBuffer) op.cache()).segment();
        for (int i = 0; i < step.copyCount(); i++) {
            long source = step.copies.getAtIndex(ValueLayout.JAVA_INT, 2L * i) * op.blockBytes();
            long destination = step.copies.getAtIndex(ValueLayout.JAVA_INT, 2L * i + 1) * op.blockBytes();
            for (long base = 0; base < op.regions() * op.regionBytes(); base += op.regionBytes()) {
                MemorySegment.copy(cache, base + source, cache, base + destination, op.blockBytes());
            }
        }
    }

    static void swapBlocks(Op.SwapBlocks op, Step step) {
        MemorySegment cache = ((DeviceBuffer) op.cache()).segment();
        MemorySegment host = ((DeviceBuffer) op.host()).segment();
        for (int i = 0; i < step.swapOutCount(); i++) {
            int block = step.swapsOut.getAtIndex(ValueLayout.JAVA_INT, 2L * i);
            int hostBlock = step.swapsOut.getAtIndex(ValueLayout.JAVA_INT, 2L * i + 1);
            for (int r = 0; r < op.regions(); r++) {
                MemorySegment.copy(cache, piece(op, r, block), host, hostPiece(op, r, hostBlock), op.blockBytes());
            }
        }
        for (int i = 0; i < step.swapInCount(); i++) {
            int hostBlock = step.swapsIn.getAtIndex(ValueLayout.JAVA_INT, 2L * i);
            int block = step.swapsIn.getAtIndex(ValueLayout.JAVA_INT, 2L * i + 1);
            for (int r = 0; r < op.regions(); r++) {
                MemorySegment.copy(host, hostPiece(op, r, hostBlock), cache, piece(op, r, block), op.blockBytes());
            }
        }
    }

    private static long piece(Op.SwapBlocks op, int region, int block) {
        return region * op.regionBytes() + block * op.blockBytes();
    }

    private static long hostPiece(Op.SwapBlocks op, int region, int hostBlock) {
        return ((long) hostBlock * op.regions() + region) * op.blockBytes();
    }

    static void embed(Op.Embed op, Step step) {
        Weight weight = op.weight();
        int cols = weight.cols();
        MemorySegment stored = ((DeviceBuffer) weight.buffer()).segment();
        MemorySegment out = memory(op.out());
        byte[] bytes = new byte[Math.toIntExact(weight.type().bytes(cols))];
        float[] row = new float[cols];
        for (int t = 0; t < step.tokenCount(); t++) {
            int token = step.tokens.getAtIndex(ValueLayout.JAVA_INT, t);
            MemorySegment.copy(stored, ValueLayout.JAVA_BYTE, (long) token * bytes.length, bytes, 0, bytes.length);
            Dequantiser.row(weight.type(), bytes, cols, row);
            for (int i = 0; i < cols; i++) {
                row[i] *= op.scale();
            }
            write(row, out, t, cols);
        }
    }

    static void rmsNorm(Op.RmsNorm op, int rows) {
        int cols = op.x().cols();
        MemorySegment x = memory(op.x());
        MemorySegment out = memory(op.out());
        float[] weight = new float[cols];
        float[] row = new float[cols];
        read(memory(op.weight()), 0, weight, cols);
        for (int r = 0; r < rows; r++) {
            read(x, r, row, cols);
            normalise(row, 0, cols, weight, op.eps());
            write(row, out, r, cols);
        }
    }

    /** Root mean square norm of {@code row[from, from + cols)} in place. */
    static void normalise(float[] row, int from, int cols, float[] weight, float eps) {
        double sum = 0;
        for (int i = 0; i < cols; i++) {
            sum += (double) row[from + i] * row[from + i];
        }
        double scale = 1 / Math.sqrt(sum / cols + eps);
        for (int i = 0; i < cols; i++) {
            row[from + i] = (float) (row[from + i] * scale * weight[i]);
        }
    }

    /** One task dequantises {@value #ROWS_PER_TASK} rows of a weight and multiplies them with every row of x. */
    static void linear(Op.Linear op, int rows, JavaThreads threads) {
        int k = op.x().cols();
        int n = op.out().cols();
        float[] x = new float[rows * k];
        MemorySegment.copy(memory(op.x()), FLOAT, 0, x, 0, x.length);
        float[] bias = new float[n];
        Tensor stored = op.bias();
        if (stored != null) {
            read(memory(stored), 0, bias, n);
        }
        MemorySegment out = memory(op.out());
        int column = 0;
        for (Weight part : op.parts()) {
            int first = column;
            int partRows = Math.toIntExact(part.rows());
            threads.forEach((partRows + ROWS_PER_TASK - 1) / ROWS_PER_TASK, task -> {
                byte[] bytes = new byte[Math.toIntExact(part.type().bytes(k))];
                float[] w = new float[k];
                int end = Math.min(partRows, (task + 1) * ROWS_PER_TASK);
                for (int i = task * ROWS_PER_TASK; i < end; i++) {
                    MemorySegment from = ((DeviceBuffer) part.buffer()).segment();
                    MemorySegment.copy(from, ValueLayout.JAVA_BYTE, (long) i * bytes.length, bytes, 0, bytes.length);
                    Dequantiser.row(part.type(), bytes, k, w);
                    multiply(x, rows, w, out, new Column(first + i, n, bias[first + i], op.add()));
                }
            });
            column += partRows;
        }
    }

    private record Column(int index, int stride, float bias, boolean add) {}

    private static void multiply(float[] x, int rows, float[] w, MemorySegment out, Column column) {
        for (int r = 0; r < rows; r++) {
            long at = (long) r * column.stride + column.index;
            double sum = dot(x, r * w.length, w) + column.bias;
            out.setAtIndex(FLOAT, at, (float) (column.add ? out.getAtIndex(FLOAT, at) + sum : sum));
        }
    }

    /** Four sums side by side: a chain of dependent additions would take four times as long. */
    static double dot(float[] x, int from, float[] w) {
        double a = 0;
        double b = 0;
        double c = 0;
        double d = 0;
        int i = 0;
        for (; i + 3 < w.length; i += 4) {
            a += (double) x[from + i] * w[i];
            b += (double) x[from + i + 1] * w[i + 1];
            c += (double) x[from + i + 2] * w[i + 2];
            d += (double) x[from + i + 3] * w[i + 3];
        }
        for (; i < w.length; i++) {
            a += (double) x[from + i] * w[i];
        }
        return a + b + (c + d);
    }

    static void gated(Op.Gated op, int rows) {
        int inner = op.out().cols();
        MemorySegment gateUp = memory(op.gateUp());
        MemorySegment out = memory(op.out());
        float[] in = new float[2 * inner];
        float[] row = new float[inner];
        for (int r = 0; r < rows; r++) {
            read(gateUp, r, in, 2 * inner);
            for (int i = 0; i < inner; i++) {
                row[i] = (float) (activate(op.activation(), in[i]) * in[inner + i]);
            }
            write(row, out, r, inner);
        }
    }

    static double activate(Activation activation, double x) {
        return switch (activation) {
            case SILU -> x / (1 + Math.exp(-x));
            case GELU_TANH -> 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
        };
    }

    static void gatherRows(Op.GatherRows op, Step step) {
        int cols = op.x().cols();
        MemorySegment x = memory(op.x());
        MemorySegment out = memory(op.out());
        long bytes = (long) cols * Float.BYTES;
        for (int r = 0; r < step.logitsCount(); r++) {
            int row = step.logitsRow.getAtIndex(ValueLayout.JAVA_INT, r);
            MemorySegment.copy(x, row * bytes, out, r * bytes, bytes);
        }
    }
}
