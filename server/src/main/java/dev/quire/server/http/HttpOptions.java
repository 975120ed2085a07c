package dev.quire.server.http;

import java.time.Duration;
import java.util.List;

/**
 * Limits and timeouts of the HTTP edge.
 *
 * @param host address to bind
 * @param port 0 = any free one
 * @param rootPath prefix under which every route answers too; empty = none
 * @param apiKeys when not empty, every route but the open ones asks for one of them
 * @param maxBodyBytes a longer request body is refused with 413
 * @param maxConnections further connections are closed at once
 * @param headerTimeout from the first byte (or the connection) to the end of the headers
 * @param bodyTimeout between two pieces of a request body
 * @param keepAliveTimeout an idle connection is closed after
 * @param writeTimeout a client that takes no byte of a response for so long is dropped
 * @param sseKeepAlive an event stream that is silent for so long sends a comment; zero = never
 */
public record HttpOptions(
        String host,
        int port,
        String rootPath,
        List<String> apiKeys,
        int maxBodyBytes,
        int maxConnections,
        Duration headerTimeout,
        Duration bodyTimeout,
        Duration keepAliveTimeout,
        Duration writeTimeout,
        Duration sseKeepAlive) {
    /** Longest header section, all fields together. */
    public static final int MAX_HEADER_BYTES = 16 * 1024;
    /** Longest request line. */
    public static final int MAX_URL_BYTES = 8 * 1024;

    public HttpOptions {
        apiKeys = List.copyOf(apiKeys);
    }

    /** What the server does without flags, on the loopback address and any free port. */
    public static HttpOptions defaults() {
        return new HttpOptions(
                "127.0.0.1",
                0,
                "",
                List.of(),
                16 << 20,
                4096,
                Duration.ofSeconds(60),
                Duration.ofSeconds(60),
                Duration.ofSeconds(75),
                Duration.ofSeconds(60),
                Duration.ofSeconds(15));
    }
}
