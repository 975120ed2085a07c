package dev.quire.server.acceptance;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** A plain HTTP client of a server on this machine. */
final class Client implements AutoCloseable {
    static final JsonMapper JSON = JsonMapper.shared();

    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(10))
            .build();
    private final URI base;

    Client(int port) {
        base = URI.create("http://127.0.0.1:" + port);
    }

    /** A completion request's body; further fields are set on the result. */
    static ObjectNode completion(String prompt, int maxTokens) {
        return JSON.createObjectNode().put("prompt", prompt).put("max_tokens", maxTokens);
    }

    JsonNode post(String path, ObjectNode body) throws IOException, InterruptedException {
        HttpResponse<String> response = http.send(request(path, body), HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IOException(path + " answered " + response.statusCode() + ": " + response.body());
        }
        return JSON.readTree(response.body());
    }

    String get(String path) throws IOException, InterruptedException {
        return http.send(HttpRequest.newBuilder(base.resolve(path)).build(), HttpResponse.BodyHandlers.ofString())
                .body();
    }

    /** Value of the first metric line that begins with {@code name}, whatever its labels. */
    double metric(String name) throws IOException, InterruptedException {
        return get("/metrics")
                .lines()
                .filter(line -> line.startsWith(name + "{") || line.startsWith(name + " "))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
                .sum();
    }

    /** Waits until nothing runs, waits or holds blocks; fails when that is not so within a second. */
    void awaitIdle() throws IOException, InterruptedException {
        long deadline = System.nanoTime() + Duration.ofSeconds(1).toNanos();
        String left = left();
        while (!left.isEmpty()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("after a second there is still " + left);
            }
            Thread.sleep(10);
            left = left();
        }
    }

    private String left() throws IOException, InterruptedException {
        StringBuilder left = new StringBuilder();
        for (String name :
                List.of("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc")) {
            double value = metric(name);
            if (value != 0) {
                left.append(name).append(' ').append(value).append(' ');
            }
        }
        return left.toString();
    }

    /**
     * Streams a completion and notes when each chunk with a choice arrived.
     *
     * @param stopAfter leave after so many chunks
     */
    List<Long> stream(ObjectNode body, int stopAfter) throws IOException, InterruptedException {
        List<Long> arrivals = new ArrayList<>();
        HttpResponse<java.io.InputStream> response = http.send(
                request("/v1/completions", body.put("stream", true)), HttpResponse.BodyHandlers.ofInputStream());
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(response.body(), StandardCharsets.UTF_8))) {
            if (response.statusCode() != 200) {
                throw new IOException("stream answered " + response.statusCode());
            }
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.startsWith("data: {") && line.contains("\"text\"")) {
                    arrivals.add(System.nanoTime());
                    if (arrivals.size() >= stopAfter) {
                        break;
                    }
                }
            }
        }
        return arrivals;
    }

    private HttpRequest request(String path, ObjectNode body) {
        return HttpRequest.newBuilder(base.resolve(path))
                .timeout(Duration.ofMinutes(5))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body.toString()))
                .build();
    }

    @Override
    public void close() {
        http.close();
    }
}
