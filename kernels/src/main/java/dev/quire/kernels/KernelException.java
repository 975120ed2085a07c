package dev.quire.kernels;

/** A native operation failed: which, with what status, and what the library said. */
public final class KernelException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final int status;

    public KernelException(String operation, int status, String text) {
        super(operation + " failed with status " + status + (text.isEmpty() ? "" : ": " + text));
        this.status = status;
    }

    /** The negative status of quire.h. */
    public int status() {
        return status;
    }
}
