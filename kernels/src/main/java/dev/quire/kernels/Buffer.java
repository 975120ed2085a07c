package dev.quire.kernels;

/**
 * Labelled device memory with one owner, which closes it. Made by {@link Backend#allocate}.
 *
 * <p>Not thread safe. Closing twice is allowed and does nothing.
 */
public interface Buffer extends AutoCloseable {
    /** What the memory is for, shown in errors and in leak reports. */
    String label();

    /** Size in bytes. */
    long bytes();

    /** Device address of the first byte. */
    long address();

    @Override
    void close();
}
