package dev.quire.server.http;

/**
 * What a stream of server-sent events sends. One thread at a time asks it, and it never waits: the event loop for events
 * that take microseconds to make, the thread that sends for those that take longer.
 */
public interface EventSource {
    /** Whether there is more to send. */
    enum More {
        /** Perhaps at once. */
        NOW,
        /** Not before news. */
        LATER,
        /** That was all. */
        NEVER
    }

    /** Whether the next events may take longer to make than the event loop can spare. */
    boolean slow();

    /** Adds the next few events, if there are any. What it throws ends the stream. */
    More next(SseEvents out);

    /** Takes the action to run when, after {@link More#LATER}, there may be more. Any thread may run it, in no time. */
    void onNews(Runnable action);
}
