package dev.quire.scheduler;

/** A running request, seen by one consumer thread. */
public interface Generation extends AutoCloseable {
    /** Waits for the next event. */
    TokenEvent next() throws InterruptedException;

    /** Aborts what still runs; its blocks are free after the step in flight. Any thread; closing twice is allowed. */
    @Override
    void close();
}
