package dev.quire.server.http;

/** Told of every request; called on event loops, must not block. */
public interface HttpObserver {
    /** Sees nothing. */
    HttpObserver NONE = new HttpObserver() {
        @Override
        public void finished(Finished event) {}
    };

    /** Its answer was sent, or the client is gone. */
    void finished(Finished event);

    /**
     * A request that is over.
     *
     * @param method a known HTTP method, or {@code OTHER}
     * @param handler the route's path, or {@code none}: never text of the client's
     * @param status 499 when the client left before the status line
     * @param nanos from the end of the request to the end of the answer
     * @param requestBytes of the body
     * @param responseBytes of the body
     */
    record Finished(String method, String handler, int status, long nanos, long requestBytes, long responseBytes) {}
}
