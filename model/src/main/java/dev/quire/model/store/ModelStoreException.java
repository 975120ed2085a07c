package dev.quire.model.store;

import org.jspecify.annotations.Nullable;

/** A model cannot be had. The message says what happened and what the user can do, and is fit to be shown as it is. */
public final class ModelStoreException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public ModelStoreException(String message) {
        this(message, null);
    }

    public ModelStoreException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
