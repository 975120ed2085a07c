package dev.quire.scheduler;

import org.jspecify.annotations.Nullable;

/** A running request, seen by one consumer thread. */
public interface Generation extends AutoCloseable {
    /** Waits for the next event; after the last one, that one again. */
    TokenEvent next() throws InterruptedException;

    /** The next event if there is one already, else null. */
    @Nullable
    TokenEvent poll();

    /**
     * Ends one choice; the others go on. Any thread; ending twice, or one that has ended, is allowed.
     *
     * @param reason STOP when its text is complete, ABORT when nobody wants more; counted so in the metrics
     */
    void end(int choice, FinishReason reason);

    /** Aborts what still runs; its blocks are free after the step in flight. Any thread; closing twice is allowed. */
    @Override
    void close();
}
