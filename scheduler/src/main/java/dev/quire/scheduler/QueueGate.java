package dev.quire.scheduler;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** Counts what is accepted and unfinished, so that a submission is decided at once on the caller's thread. */
final class QueueGate {
    private final int maxSequences;
    private final long maxTokens;
    private final AtomicInteger sequences = new AtomicInteger();
    private final AtomicLong promptTokens = new AtomicLong();

    /**
     * An empty gate.
     *
     * @param maxSequences 0 = no limit
     * @param maxTokens 0 = no limit
     */
    QueueGate(int maxSequences, long maxTokens) {
        this.maxSequences = maxSequences;
        this.maxTokens = maxTokens;
    }

    /** Takes {@code n} places; false when fewer are left. */
    boolean enter(int n) {
        if (maxSequences <= 0) {
            sequences.addAndGet(n);
            return true;
        }
        int now = sequences.get();
        while (now + n <= maxSequences) {
            int seen = sequences.compareAndExchange(now, now + n);
            if (seen == now) {
                return true;
            }
            now = seen;
        }
        return false;
    }

    /** Adds a prompt to those waiting for their first token; false when the limit has been reached already. */
    boolean enterPrompt(int tokens) {
        if (maxTokens > 0 && promptTokens.get() >= maxTokens) {
            return false;
        }
        promptTokens.addAndGet(tokens);
        return true;
    }

    void leave(int n) {
        sequences.addAndGet(-n);
    }

    void leavePrompt(int tokens) {
        promptTokens.addAndGet(-tokens);
    }

    int sequences() {
        return sequences.get();
    }

    long promptTokens() {
        return promptTokens.get();
    }
}
