package dev.quire.scheduler;

/**
 * A request that was not accepted: nothing has been computed, nothing is held.
 *
 * @param reason what kind
 * @param message for the client: what was seen, what is allowed
 * @param retryAfterSeconds when to try again; 0 where trying again cannot help
 */
public record Refusal(Reason reason, String message, int retryAfterSeconds) {
    /** Kinds of refusal. */
    public enum Reason {
        /** Too many sequences are unfinished. */
        OVERLOADED,
        /** Too many prompt tokens wait. */
        OVERLOADED_TOKENS,
        /** The server is going down. */
        DRAINING,
        /** Longer than the model's context or the KV cache. */
        TOO_LONG,
        /** More choices, or more biases and penalties of them, than fit a step. */
        TOO_MANY_CHOICES,
        /** The engine has failed. */
        ENGINE_DEAD
    }
}
