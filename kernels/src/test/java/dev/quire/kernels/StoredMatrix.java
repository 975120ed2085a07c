package dev.quire.kernels;

import java.util.Arrays;
import java.util.Random;

/** A weight matrix as a file holds it, with random content whose scales are ordinary numbers. */
record StoredMatrix(DType type, int rows, int cols, byte[] bytes) {
    static StoredMatrix random(DType type, int rows, int cols, long seed) {
        Random random = new Random(seed);
        byte[] bytes = new byte[Math.toIntExact(type.bytes(cols) * rows)];
        random.nextBytes(bytes);
        for (int at = 0; at < bytes.length; at += type.blockBytes()) {
            float scale = (float) (0.01 + 0.02 * random.nextDouble());
            switch (type) {
                case F32 -> putInt(bytes, at, Float.floatToIntBits((float) random.nextGaussian()));
                case BF16 -> putHalf(bytes, at, Float.floatToIntBits((float) random.nextGaussian()) >>> 16);
                case F16 -> putHalf(bytes, at, Float.floatToFloat16((float) random.nextGaussian()));
                case Q4_0, Q5_0, Q8_0 -> putHalf(bytes, at, Float.floatToFloat16(scale));
                case Q4_1, Q5_1 -> {
                    putHalf(bytes, at, Float.floatToFloat16(scale));
                    putHalf(bytes, at + 2, Float.floatToFloat16(-10 * scale));
                }
                case Q4_K, Q5_K -> {
                    putHalf(bytes, at, Float.floatToFloat16(scale / 20));
                    putHalf(bytes, at + 2, Float.floatToFloat16(scale / 2));
                }
                case Q6_K -> putHalf(bytes, at + 208, Float.floatToFloat16(scale / 60));
                case F8_E4M3 -> {
                    // A power of two, so that the numbers are BF16 too, as which the CPU keeps them; and no NaN.
                    putInt(bytes, at, Float.floatToIntBits(0x1p-9f));
                    for (int i = at + 4; i < at + 36; i++) {
                        bytes[i] = (bytes[i] & 127) == 127 ? 0 : bytes[i];
                    }
                }
            }
        }
        return new StoredMatrix(type, rows, cols, bytes);
    }

    /** The elements as floats, row by row. */
    float[] floats() {
        float[] all = new float[rows * cols];
        float[] row = new float[cols];
        int size = bytes.length / rows;
        for (int r = 0; r < rows; r++) {
            Dequantiser.row(type, Arrays.copyOfRange(bytes, r * size, (r + 1) * size), cols, row);
            System.arraycopy(row, 0, all, r * cols, cols);
        }
        return all;
    }

    private static void putHalf(byte[] bytes, int at, int bits) {
        bytes[at] = (byte) bits;
        bytes[at + 1] = (byte) (bits >>> 8);
    }

    private static void putInt(byte[] bytes, int at, int bits) {
        putHalf(bytes, at, bits);
        putHalf(bytes, at + 2, bits >>> 16);
    }
}
