package dev.quire.server.http;

import io.netty.handler.codec.http.HttpHeaders;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The first part of a request, checked.
 *
 * @param method as sent
 * @param path percent-decoded, without the query and the root path
 * @param headers names are case-insensitive
 * @param id the client's {@code X-Request-Id} when it is fit to be echoed, else a new one
 * @param keepAlive whether the connection outlives the answer
 * @param http10 whether the client speaks HTTP/1.0 (no chunks, no interim answers)
 */
record RequestHead(String method, String path, HttpHeaders headers, String id, boolean keepAlive, boolean http10) {
    private static final Set<String> METHODS =
            Set.of("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT");

    @Nullable
    String header(String name) {
        return headers.get(name);
    }

    /** A method's name that is one of a few, for metrics. */
    String methodLabel() {
        String upper = method.toUpperCase(Locale.ROOT);
        return METHODS.contains(upper) ? upper : "OTHER";
    }
}
