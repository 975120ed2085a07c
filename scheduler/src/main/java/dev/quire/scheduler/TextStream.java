package dev.quire.scheduler;

/** A running text request, read by one (virtual) thread. */
public interface TextStream extends AutoCloseable {
    /** Waits for the next event; takes as many tokens as are ready, so a slow reader gets fewer, larger deltas. */
    TextEvent next() throws InterruptedException;

    /** Aborts what still runs. Any thread; closing twice is allowed. */
    @Override
    void close();
}
