package dev.quire.model.weights;

import dev.quire.kernels.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.stream.IntStream;

/**
 * The codes of a matrix of 8-bit floats (E4M3) in a safetensors file. They mean numbers only with the scales that a
 * second tensor holds: one for all, one per row, or one per square of 128 by 128.
 *
 * @param shape {@code [rows, cols]}
 * @param codes mapped, a byte each
 */
record Float8Tensor(String name, long[] shape, MemorySegment codes) {
    private static final int SQUARE = 128;
    private static final int GROUP = DType.F8_E4M3.blockElements();
    /** Kernels hold scales as half floats, multiplied by 4096. */
    private static final float LARGEST_SCALE = 15;

    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /**
     * The matrix as {@link DType#F8_E4M3}, scales among the codes, in the arena's memory.
     *
     * @throws IllegalArgumentException saying what does not fit
     */
    WeightTensor scaled(WeightTensor scale, Arena arena) {
        if (shape.length != 2 || shape[0] > Integer.MAX_VALUE || shape[1] % GROUP != 0) {
            throw new IllegalArgumentException("a matrix whose columns are a multiple of " + GROUP + " is needed");
        }
        int rows = (int) shape[0];
        long groups = shape[1] / GROUP;
        Scales scales = scales(scale);
        MemorySegment data = arena.allocate(DType.F8_E4M3.bytes(shape[0] * shape[1]), 64);
        IntStream.range(0, rows).parallel().forEach(row -> {
            for (long g = 0; g < groups; g++) {
                long to = (row * groups + g) * DType.F8_E4M3.blockBytes();
                data.set(FLOAT, to, scales.of(row, g * GROUP));
                MemorySegment.copy(codes, row * shape[1] + g * GROUP, data, to + Float.BYTES, GROUP);
            }
        });
        return new WeightTensor(name, DType.F8_E4M3, shape, data);
    }

    /** Scales of rectangles of the matrix, a row of them after the other. */
    private record Scales(float[] values, long rows, long cols, long across) {
        float of(long row, long col) {
            return values[Math.toIntExact(row / rows * across + col / cols)];
        }
    }

    private Scales scales(WeightTensor scale) {
        float[] values = values(scale);
        long[] s = scale.shape();
        if (values.length == 1) {
            return new Scales(values, shape[0], shape[1], 1);
        }
        if (values.length == shape[0] && s[0] == shape[0]) {
            return new Scales(values, 1, shape[1], 1);
        }
        long down = Math.ceilDiv(shape[0], SQUARE);
        long across = Math.ceilDiv(shape[1], SQUARE);
        if (s.length != 2 || s[0] != down || s[1] != across) {
            throw new IllegalArgumentException(
                    "its scales are neither one, nor one per row, nor one per square of " + SQUARE + " by " + SQUARE);
        }
        return new Scales(values, SQUARE, SQUARE, across);
    }

    private static float[] values(WeightTensor scale) {
        float[] values = new float[Math.toIntExact(scale.elements())];
        for (int i = 0; i < values.length; i++) {
            values[i] = scale.number(i);
            if (!(Math.abs(values[i]) <= LARGEST_SCALE)) {
                throw new IllegalArgumentException(
                        "a scale is " + values[i] + ", supported are at most " + LARGEST_SCALE);
            }
        }
        return values;
    }
}
