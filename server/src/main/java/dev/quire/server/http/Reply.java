package dev.quire.server.http;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A whole response.
 *
 * @param status HTTP status
 * @param contentType of the body
 * @param body not written by anyone afterwards
 * @param headers further headers, in order
 */
public record Reply(int status, String contentType, byte[] body, Map<String, String> headers) {
    /** The content type of every JSON answer. */
    public static final String JSON = "application/json";

    /** A JSON answer without further headers. */
    public static Reply json(int status, byte[] body) {
        return new Reply(status, JSON, body, Map.of());
    }

    /** Plain text. */
    public static Reply text(int status, String text) {
        return new Reply(status, "text/plain; charset=utf-8", text.getBytes(StandardCharsets.UTF_8), Map.of());
    }

    /** The same with one header more. */
    public Reply with(String name, String value) {
        Map<String, String> all = new LinkedHashMap<>(headers);
        all.put(name, value);
        return new Reply(status, contentType, body, all);
    }
}
