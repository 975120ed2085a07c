package dev.quire.kernels;

/**
 * A float32 matrix view {@code [rows, cols]} of a buffer, row-major. {@code rows} is the capacity: an operation
 * touches as many rows as its step has.
 *
 * @param buffer the memory
 * @param offset bytes from the buffer's start, a multiple of 64
 * @param rows capacity in rows
 * @param cols elements per row
 */
public record Tensor(Buffer buffer, long offset, int rows, int cols) {
    public Tensor {
        if (offset < 0 || rows < 0 || cols < 1 || offset % 64 != 0) {
            throw new IllegalArgumentException(
                    buffer.label() + ": bad view offset=" + offset + " rows=" + rows + " cols=" + cols);
        }
        long end = Math.addExact(offset, Math.multiplyExact(Math.multiplyExact((long) rows, cols), (long) Float.BYTES));
        if (end > buffer.bytes()) {
            throw new IllegalArgumentException(
                    buffer.label() + ": view ends at " + end + " of " + buffer.bytes() + " bytes");
        }
    }

    /** Device address of element (0, 0). */
    public long address() {
        return buffer.address() + offset;
    }
}
