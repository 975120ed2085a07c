package dev.quire.scheduler;

import org.jspecify.annotations.Nullable;

/** A running text request, read by one thread at a time. */
public interface TextStream extends AutoCloseable {
    /** The next event if there is one already, else null; after the last one, that one again. */
    @Nullable
    TextEvent poll();

    /**
     * Takes the action to run when there may be an event that {@link #poll} did not see: on the engine thread, so it must
     * not wait nor throw. What was there before is not told of.
     */
    void onNews(Runnable action);

    /** Aborts what still runs. Any thread; closing twice is allowed. */
    @Override
    void close();
}
