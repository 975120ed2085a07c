package dev.quire.server.http;

/** Answers requests of a route. Called on a virtual thread of its own, so it may block, but for {@link Route#probe}. */
@FunctionalInterface
public interface Endpoint {
    /** Answers exactly once, by {@link Exchange#reply} or {@link Exchange#sse}; what it throws becomes a 500. */
    void handle(Exchange exchange) throws Exception;
}
