package dev.quire.server.http;

/** Answers requests of a route. Called on a virtual thread of its own, so it may block. */
@FunctionalInterface
public interface Endpoint {
    /**
     * Answers exactly once, by {@link Exchange#reply} or {@link Exchange#sse}.
     *
     * @throws ReplyException to answer with its reply, while nothing has been sent
     */
    void handle(Exchange exchange) throws Exception;
}
