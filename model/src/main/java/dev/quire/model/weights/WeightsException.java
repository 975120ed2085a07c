package dev.quire.model.weights;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A model file is not what it should be. The message names the file, the field or tensor, and the byte offset where
 * one is known.
 */
public final class WeightsException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String file;

    public WeightsException(Path file, String problem) {
        this(file, -1, problem, null);
    }

    /** @param offset byte in the file, or -1 when there is none to name */
    public WeightsException(Path file, long offset, String problem) {
        this(file, offset, problem, null);
    }

    public WeightsException(Path file, long offset, String problem, @Nullable Throwable cause) {
        super(file + (offset < 0 ? "" : " at byte " + offset) + ": " + problem, cause);
        this.file = file.toString();
    }

    /** The file that is wrong. */
    public String file() {
        return file;
    }
}
