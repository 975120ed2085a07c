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
 * @param stepStretch how much longer than a step of generated tokens alone a step may take because of prompt tokens, or
 *     of guesses, in it, as a factor
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
    public static final EngineConfig DEFAULTS = new Builder().build();

    /** The defaults, and what is to be otherwise. */
    public static final class Builder {
        private static final double STEP_STRETCH = 2.3;
        private static final long MAX_STEP_NANOS = 500_000_000;
        private static final int MAX_UNREAD = 64;
        private static final int PREEMPTION_LIMIT = 3;
        private static final long STALL_NANOS = 10_000_000_000L;

        private int maxBatchedTokens = 2048;
        private int maxSequences = 128;
        private int maxQueuedSequences = 2048;
        private long maxQueuedTokens = 4_000_000;
        private boolean prefixCaching = true;
        private Speculation speculation = new Speculation(8, 4, 2);
        private Duration slowReader = Duration.ofMinutes(1);

        /** Limits of a step. */
        public Builder step(int maxBatchedTokens, int maxSequences) {
            this.maxBatchedTokens = maxBatchedTokens;
            this.maxSequences = maxSequences;
            return this;
        }

        /** Limits of the queue. */
        public Builder queue(int maxQueuedSequences, long maxQueuedTokens) {
            this.maxQueuedSequences = maxQueuedSequences;
            this.maxQueuedTokens = maxQueuedTokens;
            return this;
        }

        public Builder prefixCaching(boolean prefixCaching) {
            this.prefixCaching = prefixCaching;
            return this;
        }

        public Builder speculation(Speculation speculation) {
            this.speculation = speculation;
            return this;
        }

        /** How long a paused request waits for its consumer. */
        public Builder slowReader(Duration slowReader) {
            this.slowReader = slowReader;
            return this;
        }

        public EngineConfig build() {
            return new EngineConfig(
                    maxBatchedTokens,
                    maxSequences,
                    maxQueuedSequences,
                    maxQueuedTokens,
                    prefixCaching,
                    speculation,
                    STEP_STRETCH,
                    MAX_STEP_NANOS,
                    MAX_UNREAD,
                    slowReader.toNanos(),
                    PREEMPTION_LIMIT,
                    STALL_NANOS);
        }
    }

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

    private static void positive(String name, long value) {
        if (value < 1) {
            throw new IllegalArgumentException(name + " is " + value + ", at least 1 is needed");
        }
    }
}
