package dev.quire.server.http;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** What must be true of a request's headers before any of it is believed. */
final class HeadChecks {
    private static final int MAX_ID_CHARACTERS = 128;

    private HeadChecks() {}

    /**
     * A head that may be routed, or the reason why not.
     *
     * @param status of the refusal
     */
    record Result(@Nullable RequestHead head, int status, String message) {
        static Result refuse(int status, String message) {
            return new Result(null, status, message);
        }
    }

    static Result check(HttpRequest request, String rootPath) {
        if (!request.decoderResult().isSuccess()) {
            return undecodable(request.decoderResult().cause());
        }
        HttpVersion version = request.protocolVersion();
        boolean http10 = version.equals(HttpVersion.HTTP_1_0);
        if (!http10 && !version.equals(HttpVersion.HTTP_1_1)) {
            return Result.refuse(505, "This server speaks HTTP/1.1.");
        }
        String framing = framingFault(request.headers(), http10);
        if (framing != null) {
            return Result.refuse(400, framing);
        }
        String path = RequestTarget.path(request.uri());
        if (path == null) {
            return Result.refuse(400, "The request target is not a path.");
        }
        return new Result(
                new RequestHead(
                        request.method().name(),
                        withoutRoot(path, rootPath),
                        request.headers(),
                        id(request.headers().get("X-Request-Id")),
                        HttpUtil.isKeepAlive(request),
                        http10),
                0,
                "");
    }

    /** Netty refuses most of these itself; here is the whole list, so that none depends on its configuration. */
    private static @Nullable String framingFault(HttpHeaders headers, boolean http10) {
        List<String> encodings = headers.getAll(HttpHeaderNames.TRANSFER_ENCODING);
        List<String> lengths = headers.getAll(HttpHeaderNames.CONTENT_LENGTH);
        if (!encodings.isEmpty() && http10) {
            return "Transfer-Encoding is not part of HTTP/1.0.";
        }
        if (!encodings.isEmpty() && !lengths.isEmpty()) {
            return "Content-Length and Transfer-Encoding exclude each other.";
        }
        if (encodings.size() > 1 || (encodings.size() == 1 && !"chunked".equalsIgnoreCase(encodings.getFirst()))) {
            return "Transfer-Encoding may only be \"chunked\", once.";
        }
        if (lengths.size() > 1 || (lengths.size() == 1 && !isLength(lengths.getFirst()))) {
            return "Content-Length must be one number.";
        }
        if (headers.getAll(HttpHeaderNames.HOST).size() != 1 && !http10) {
            return "Exactly one Host header is needed.";
        }
        return null;
    }

    private static boolean isLength(String text) {
        return !text.isEmpty() && text.length() <= 18 && text.chars().allMatch(c -> c >= '0' && c <= '9');
    }

    private static Result undecodable(@Nullable Throwable cause) {
        if (cause instanceof TooLongHttpLineException) {
            return Result.refuse(
                    414, "The request line is longer than the " + HttpOptions.MAX_URL_BYTES + " bytes allowed.");
        }
        if (cause instanceof TooLongHttpHeaderException) {
            return Result.refuse(
                    431, "The headers are longer than the " + HttpOptions.MAX_HEADER_BYTES + " bytes allowed.");
        }
        return Result.refuse(400, "The request is not valid HTTP/1.1.");
    }

    private static String withoutRoot(String path, String root) {
        if (root.isEmpty() || !path.startsWith(root)) {
            return path;
        }
        String rest = path.substring(root.length());
        return rest.isEmpty() ? "/" : rest.startsWith("/") ? rest : path;
    }

    private static String id(@Nullable String sent) {
        if (sent != null
                && !sent.isEmpty()
                && sent.length() <= MAX_ID_CHARACTERS
                && sent.chars().allMatch(c -> c > 0x20 && c < 0x7f)) {
            return sent;
        }
        return UUID.randomUUID().toString().replace("-", "");
    }
}
