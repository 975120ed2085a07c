package dev.quire.bench;

import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * A server that speaks the OpenAI API over plain HTTP.
 *
 * @param base its address, without {@code /v1}
 */
record Target(URI base, @Nullable String apiKey) {
    private static final Duration LIMIT = Duration.ofSeconds(10);

    /** @throws IllegalArgumentException when the address is not one that can be measured */
    Target {
        if (!"http".equalsIgnoreCase(base.getScheme()) || base.getHost() == null) {
            throw new IllegalArgumentException("the address is '" + base
                    + "', allowed: http://HOST[:PORT][/PATH]; for a server behind TLS, put a local proxy between");
        }
        String text = base.toString().replaceAll("/+$", "");
        base = URI.create(text.endsWith("/v1") ? text.substring(0, text.length() - 3) : text);
    }

    InetSocketAddress socketAddress() {
        return new InetSocketAddress(base.getHost(), base.getPort() >= 0 ? base.getPort() : 80);
    }

    /** A whole request that posts JSON and wants events. */
    byte[] post(String path, byte[] body) {
        StringBuilder head = new StringBuilder(256)
                .append("POST ")
                .append(base.getRawPath())
                .append(path)
                .append(" HTTP/1.1\r\nHost: ")
                .append(base.getRawAuthority())
                .append("\r\nAccept: text/event-stream, application/json\r\nContent-Type: application/json\r\n");
        if (apiKey != null) {
            head.append("Authorization: Bearer ").append(apiKey).append("\r\n");
        }
        head.append("Content-Length: ").append(body.length).append("\r\n\r\n");
        byte[] start = head.toString().getBytes(StandardCharsets.ISO_8859_1);
        byte[] whole = new byte[start.length + body.length];
        System.arraycopy(start, 0, whole, 0, start.length);
        System.arraycopy(body, 0, whole, start.length, body.length);
        return whole;
    }

    /**
     * The body of a GET.
     *
     * @throws IOException when nothing listens, or the answer is not 200
     */
    String get(String path) throws IOException, InterruptedException {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(URI.create(base + path)).timeout(LIMIT);
        if (apiKey != null) {
            request.header("Authorization", "Bearer " + apiKey);
        }
        try (HttpClient client = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(LIMIT)
                .build()) {
            HttpResponse<String> answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() != 200) {
                throw new IOException(base + path + " answers " + answer.statusCode() + ": " + answer.body());
            }
            return answer.body();
        } catch (ConnectException e) {
            throw new IOException("nothing listens at " + base, e);
        }
    }

    /**
     * The first model that the server lists.
     *
     * @throws IOException when it lists none, or does not answer
     */
    String firstModel() throws IOException, InterruptedException {
        try {
            JsonNode first = Json.parse(get("/v1/models")).path("data").path(0).path("id");
            if (!first.isString()) {
                throw new IOException(base + " lists no model; name one with --model");
            }
            return first.asString();
        } catch (JacksonException e) {
            throw new IOException(base + "/v1/models does not answer with JSON", e);
        }
    }
}
