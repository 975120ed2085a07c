package dev.quire.scheduler;

import org.jspecify.annotations.Nullable;

/** A running request, seen by one consumer thread. */
public interface Generation extends AutoCloseable {
    /** Waits for the next event; after the last one, that one again. */
    TokenEvent next() throws InterruptedException;

    /** The next event if there is one already, else null. */
    @Nullable
    TokenEvent poll();

    /** Events that {@link #poll} would give one after the other now. */
    int unread();

    /**
     * Takes the action to run when there may be an event that {@link #poll} did not see: on the engine thread, so it must
     * not wait nor throw. What was there before is not told of.
     */
    void onNews(Runnable action);

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
