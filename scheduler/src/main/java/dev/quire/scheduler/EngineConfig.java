package dev.quire.scheduler;

import java.time.Duration;

/**
 * How the engine schedules. What the device can hold is not here: it comes with the runner's limits, and the smaller of
 * two numbers counts.
 *
 * @param maxBatchedTokens tokens computed in one step
 * @param maxSequences rows in one step
 * @param maxQueuedSequences choices accepted and unfinished, running ones too; more are refused;
 *     0 = no limit
 * @param maxQueuedTokens prompt tokens of requests that wait for their first token; at the limit more are refused; 0 =
 *     no limit
 * @param prefixCaching whether prompts share the blocks of equal prefixes
 * @param speculation how far ahead sequences may guess
 * @param stepStretch how much longer than a step of generated tokens alone a step may take because of prompt tokens in
 *     it, as a factor
 * @param maxStepNanos prompts are cut so that a step takes no longer than about this
 * @param maxUnread events a consumer may leave unread before its request pauses
 * @param slowReaderNanos a paused request whose consumer reads nothing for so long fails
 * @param preemptionLimit a sequence preempted so often is preempted again only when no other can be
 * @param stallNanos a step that takes so much longer than expected counts as a stalled engine
 */
public record EngineConfig(
        int maxBatchedTokens,
        int maxSequences,
        int maxQueuedSequences,
        long maxQueuedTokens,
        boolean prefixCaching,
        Speculation speculation,
        double stepStretch,
        long maxStepNanos,
        int maxUnread,
        long slowReaderNanos,
        int preemptionLimit,
        long stallNanos) {
    /** What {@code quire serve} does without flags. */
    public static final EngineConfig DEFAULTS = new EngineConfig(
            2048,
            128,
            2048,
            4_000_000,
            true,
            new Speculation(8, 4, 2),
            2.3,
            500_000_000L,
            64,
            60_000_000_000L,
            3,
            10_000_000_000L);

    public EngineConfig {
        positive("maxBatchedTokens", maxBatchedTokens);
        positive("maxSequences", maxSequences);
        positive("maxStepNanos", maxStepNanos);
        positive("maxUnread", maxUnread);
        positive("slowReaderNanos", slowReaderNanos);
        positive("stallNanos", stallNanos);
        if (!(stepStretch > 1)) {
            throw new IllegalArgumentException("stepStretch is " + stepStretch + ", must be above 1");
        }
    }

    /** The same with other limits of a step. */
    public EngineConfig withStep(int maxBatchedTokens, int maxSequences) {
        return new EngineConfig(
                maxBatchedTokens,
                maxSequences,
                maxQueuedSequences,
                maxQueuedTokens,
                prefixCaching,
                speculation,
                stepStretch,
                maxStepNanos,
                maxUnread,
                slowReaderNanos,
                preemptionLimit,
                stallNanos);
    }

    /** The same with other limits of the queue. */
    public EngineConfig withQueue(int maxQueuedSequences, long maxQueuedTokens) {
        return new EngineConfig(
                maxBatchedTokens,
                maxSequences,
                maxQueuedSequences,
                maxQueuedTokens,
                prefixCaching,
                speculation,
                stepStretch,
                maxStepNanos,
                maxUnread,
                slowReaderNanos,
                preemptionLimit,
                stallNanos);
    }

    /** The same with or without prefix caching. */
    public EngineConfig withPrefixCaching(boolean prefixCaching) {
        return new EngineConfig(
                maxBatchedTokens,
                maxSequences,
                maxQueuedSequences,
                maxQueuedTokens,
                prefixCaching,
                speculation,
                stepStretch,
                maxStepNanos,
                maxUnread,
                slowReaderNanos,
                preemptionLimit,
                stallNanos);
    }

    /** The same with other guesses. */
    public EngineConfig withSpeculation(Speculation speculation) {
        return new EngineConfig(
                maxBatchedTokens,
                maxSequences,
                maxQueuedSequences,
                maxQueuedTokens,
                prefixCaching,
                speculation,
                stepStretch,
                maxStepNanos,
                maxUnread,
                slowReaderNanos,
                preemptionLimit,
                stallNanos);
    }

    /** The same with another time for consumers that read nothing. */
    public EngineConfig withSlowReaders(Duration slowReader) {
        return new EngineConfig(
                maxBatchedTokens,
                maxSequences,
                maxQueuedSequences,
                maxQueuedTokens,
                prefixCaching,
                speculation,
                stepStretch,
                maxStepNanos,
                maxUnread,
                slowReader.toNanos(),
                preemptionLimit,
                stallNanos);
    }

    private static void positive(String name, long value) {
        if (value < 1) {
            throw new IllegalArgumentException(name + " is " + value + ", at least 1 is needed");
        }
    }
}
