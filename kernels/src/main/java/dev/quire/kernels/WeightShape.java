package dev.quire.kernels;

import java.lang.foreign.MemorySegment;

/** Size rules of a stored weight matrix. */
final class WeightShape {
    private WeightShape() {}

    /** Bytes of {@code rows} rows of {@code cols} elements in their file type. */
    static long bytes(DType type, long rows, int cols) {
        return Math.multiplyExact(type.bytes(cols), rows);
    }

    /** @throws IllegalArgumentException when {@code source} has another size than the shape asks for */
    static void check(MemorySegment source, DType type, long rows, int cols, String label) {
        String shape = "weight '" + label + "' " + type + " [" + rows + ", " + cols + "]: ";
        if (rows < 1 || rows > Integer.MAX_VALUE || cols < 1 || cols % type.blockElements() != 0) {
            throw new IllegalArgumentException(
                    shape + "allowed: 1 to 2147483647 rows, columns a multiple of " + type.blockElements());
        }
        long expected = bytes(type, rows, cols);
        if (source.byteSize() != expected) {
            throw new IllegalArgumentException(shape + source.byteSize() + " bytes given, allowed: " + expected);
        }
    }
}
