package dev.quire.scheduler;

/** Why a sequence ended; the names are those of the wire, in lower case. */
public enum FinishReason {
    /** An end token, a stop token or a stop string. */
    STOP,
    /** {@code max_tokens}, or the end of the context. */
    LENGTH,
    /** The client left, or the server ended it. */
    ABORT,
    /** A fault in this sequence. */
    ERROR
}
