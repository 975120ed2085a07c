package dev.quire.kernels;

/**
 * A weight matrix {@code [rows, cols]} in the layout that the backend's kernels read; made by {@link Backend#load}.
 *
 * @param buffer the packed matrix, owned by this weight
 * @param type element type of the file it came from
 * @param rows output columns of a linear layer, or vocabulary size of an embedding
 * @param cols input columns
 */
public record Weight(Buffer buffer, DType type, long rows, int cols) implements AutoCloseable {
    @Override
    public void close() {
        buffer.close();
    }
}
