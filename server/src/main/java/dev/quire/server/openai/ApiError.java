package dev.quire.server.openai;

import dev.quire.scheduler.Refusal;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Everything that can be wrong, and how the wire says it: {@code {"error":{message,type,param,code}}}. */
public sealed interface ApiError {
    /** Longest message; whatever a client sent is cut long before. */
    int MAX_MESSAGE = 600;

    /** A field whose value is out of what is allowed. */
    record Invalid(String param, String message) implements ApiError {}

    /** A prompt that does not fit the model's context. */
    record TooLong(String message) implements ApiError {}

    /** A body or field that is not of the right form. */
    record Malformed(@Nullable String param, String message) implements ApiError {}

    /** A model that is not served. */
    record UnknownModel(String name) implements ApiError {}

    /** Nothing can be taken now: loading, draining, overloaded. */
    record Unavailable(String message, int retryAfterSeconds) implements ApiError {}

    /** The server's own fault. */
    record Internal(String message) implements ApiError {}

    /** Decided by the HTTP edge, which knows only a status. */
    record Edge(int status, String message) implements ApiError {}

    /** A value out of range: what was seen and what is allowed. */
    static ApiException invalid(String param, String message, @Nullable Object value) {
        String seen = value == null ? "" : ", value=" + shown(value);
        return new Invalid(param, message + " (parameter=" + param + seen + ")").exception();
    }

    /** A value of the wrong form. */
    static ApiException malformed(@Nullable String param, String message) {
        return new Malformed(param, message).exception();
    }

    /** A field that would change the output and is not implemented. */
    static ApiException unsupported(String param, String message) {
        return new Invalid(param, message + " (parameter=" + param + ")").exception();
    }

    /** What the engine's refusal looks like to the client. */
    static ApiError of(Refusal refusal) {
        return switch (refusal.reason()) {
            case OVERLOADED, OVERLOADED_TOKENS, DRAINING ->
                new Unavailable(refusal.message(), Math.max(1, refusal.retryAfterSeconds()));
            case TOO_LONG -> new TooLong(refusal.message());
            case TOO_MANY_CHOICES -> new Invalid("n", refusal.message());
            case ENGINE_DEAD -> new Internal(refusal.message());
        };
    }

    /** The status line's code. */
    default int status() {
        return switch (this) {
            case Invalid _, TooLong _, Malformed _ -> 400;
            case UnknownModel _ -> 404;
            case Unavailable _ -> 503;
            case Internal _ -> 500;
            case Edge edge -> edge.status();
        };
    }

    /** The error's type as clients of this API know it. */
    default String type() {
        return switch (this) {
            case Invalid _, TooLong _ -> "BadRequestError";
            case Malformed _ -> "Bad Request";
            case UnknownModel _ -> "NotFoundError";
            case Unavailable _ -> "ServiceUnavailableError";
            case Internal _ -> "InternalServerError";
            case Edge edge -> edgeType(edge.status());
        };
    }

    /** The text for the client, never longer than {@link #MAX_MESSAGE}. */
    default String text() {
        String text = switch (this) {
            case Invalid e -> e.message();
            case TooLong e -> e.message();
            case Malformed e -> e.message();
            case UnknownModel e -> "The model `" + shown(e.name()) + "` does not exist.";
            case Unavailable e -> e.message();
            case Internal e -> e.message();
            case Edge e -> e.message();
        };
        return cut(text, MAX_MESSAGE);
    }

    /** The field at fault. */
    default @Nullable String field() {
        String field = switch (this) {
            case Invalid e -> e.param();
            case TooLong _ -> "prompt";
            case Malformed e -> e.param();
            case UnknownModel _ -> "model";
            case Unavailable _, Internal _, Edge _ -> null;
        };
        return field == null ? null : cut(field, 100);
    }

    /** To be thrown out of an endpoint. */
    default ApiException exception() {
        return new ApiException(this);
    }

    /** A client's text, short enough to be shown back. */
    static String shown(Object value) {
        return cut(value.toString(), 200);
    }

    private static String cut(String text, int limit) {
        return text.length() <= limit ? text : text.substring(0, limit) + "…";
    }

    private static String edgeType(int status) {
        return switch (status) {
            case 400 -> "Bad Request";
            case 401 -> "invalid_request_error";
            case 404 -> "Not Found";
            case 405 -> "Method Not Allowed";
            case 408 -> "Request Timeout";
            case 413 -> "Request Entity Too Large";
            case 414 -> "Request-URI Too Long";
            case 415 -> "Unsupported Media Type";
            case 417 -> "Expectation Failed";
            case 431 -> "Request Header Fields Too Large";
            case 500 -> "InternalServerError";
            case 503 -> "Service Unavailable";
            case 505 -> "HTTP Version Not Supported";
            default -> String.format(Locale.ROOT, "HTTP %d", status);
        };
    }
}
