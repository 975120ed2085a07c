package dev.quire.scheduler;

/**
 * Told by the engine thread what happens, for metrics. Must return at once; an exception is logged and otherwise
 * ignored.
 */
public interface EngineListener {
    /** Listens to nothing. */
    EngineListener NONE = new EngineListener() {};

    /** A step is done. */
    default void onStep(StepStats step) {}

    /** A request's first token is drawn, so many nanoseconds after the request came in. */
    default void onFirstToken(long nanosSinceArrival) {}

    /** A further token of a choice is drawn, so many nanoseconds after the one before. */
    default void onNextToken(long nanosSinceLast) {}

    /** A request has ended, however. */
    default void onFinish(RequestStats request) {}

    /**
     * A step in numbers.
     *
     * @param running sequences that hold blocks, after the step
     * @param waiting sequences that wait for blocks, after the step
     * @param rows sequences in the step
     * @param tokens tokens computed
     * @param promptTokens of them before the last one known of their sequence: prompts, and what preemption lost
     * @param paddingTokens of them computed for nobody; always 0 with continuous batching
     * @param drawnTokens tokens drawn and used
     * @param guessingRows rows with guessed tokens
     * @param guessedTokens tokens guessed
     * @param acceptedTokens of them, those that were right
     * @param kvUsedBlocks blocks that sequences hold, after the step
     * @param kvTotalBlocks blocks in the pool
     * @param kvAllocatedSlots positions that running sequences have room for in the cache, during the step
     * @param kvFilledSlots of them those that hold keys and values
     * @param preemptions since the step before
     * @param queriedTokens looked up in the prefix cache since the step before
     * @param cachedTokens of them found on the device
     * @param hostQueriedTokens of those not found there, looked up in the tier on the host; 0 without one
     * @param hostCachedTokens of them found
     * @param swappedOut blocks moved to the host since the step before
     * @param swappedIn blocks moved from the host since the step before
     * @param nanos from launch, or the result of the step before, to result
     * @param deviceNanos in which the device was at work on it
     */
    record StepStats(
            int running,
            int waiting,
            int rows,
            int tokens,
            int promptTokens,
            int paddingTokens,
            int drawnTokens,
            int guessingRows,
            int guessedTokens,
            int acceptedTokens,
            int kvUsedBlocks,
            int kvTotalBlocks,
            long kvAllocatedSlots,
            long kvFilledSlots,
            int preemptions,
            int queriedTokens,
            int cachedTokens,
            int hostQueriedTokens,
            int hostCachedTokens,
            int swappedOut,
            int swappedIn,
            long nanos,
            long deviceNanos) {}

    /**
     * A request in numbers. Times that never began are 0.
     *
     * @param n choices
     * @param maxTokens asked for, after clamping to the context
     * @param longestChoice tokens of the longest choice
     * @param usage tokens
     * @param preemptions of all choices
     * @param queueNanos from arrival to the first step with a token of it
     * @param prefillNanos from there to the first token drawn
     * @param decodeNanos from there to the last token drawn
     * @param firstTokenNanos from arrival to the first token drawn
     * @param totalNanos from arrival to the end
     * @param finish reason of the choice that ended last
     */
    record RequestStats(
            int n,
            int maxTokens,
            int longestChoice,
            Usage usage,
            int preemptions,
            long queueNanos,
            long prefillNanos,
            long decodeNanos,
            long firstTokenNanos,
            long totalNanos,
            FinishReason finish) {}
}
