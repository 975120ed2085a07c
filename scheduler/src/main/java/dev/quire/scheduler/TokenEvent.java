package dev.quire.scheduler;

/** What the engine says of a request, in order. After {@link Finished} or {@link Failed} nothing follows. */
public sealed interface TokenEvent {
    /**
     * A token drawn.
     *
     * @param choice 0 .. n-1
     * @param finish null while the choice goes on; with STOP the token is the end token itself
     */
    record Token(
            int choice,
            Scored token,
            @org.jspecify.annotations.Nullable FinishReason finish) implements TokenEvent {}

    /** Log-probabilities of prompt tokens {@code first .. first + tokens.length - 1}; only when asked for. */
    record PromptScores(int first, Scored[] tokens) implements TokenEvent {}

    /** A choice that ended without a further token (abort, or maxTokens 0). */
    record ChoiceEnded(int choice, FinishReason finish) implements TokenEvent {}

    /** All choices have ended. */
    record Finished(Usage usage) implements TokenEvent {}

    /** The request failed; other requests go on. The message is fit for the client. */
    record Failed(String message) implements TokenEvent {}

    /**
     * A token with its log-probability.
     *
     * @param logprob raw, nats; NaN when not asked for
     * @param topIds best alternatives, best first; empty when not asked for
     * @param topLogprobs as long as {@code topIds}
     */
    record Scored(int id, float logprob, int[] topIds, float[] topLogprobs) {}
}
