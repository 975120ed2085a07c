package dev.quire.server.http;

/**
 * What a stream of server-sent events sends. Called on the event loop, one call at a time: it may compute for
 * microseconds, and never waits.
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

    /** Adds the next few events, if there are any. What it throws ends the stream. */
    More next(SseEvents out);

    /** Takes the action to run when, after {@link More#LATER}, there may be more. Any thread may run it, in no time. */
    void onNews(Runnable action);
}
