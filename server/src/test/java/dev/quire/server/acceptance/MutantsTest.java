package dev.quire.server.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.server.http.RawClient;
import java.io.IOException;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Whatever is sent is answered, and nothing that is sent changes what others get. */
@Tag("model")
class MutantsTest {
    private static final int MUTANTS = 10_000;
    private static final int AT_ONCE = 24;
    private static final int LONGEST_ERROR = 4096;
    /** Labels are routes and methods of the server's, whatever was asked for. */
    private static final Pattern HTTP_SERIES = Pattern.compile("http_[a-z_]+\\{handler=\"(none|/v1/completions|"
            + "/v1/chat/completions|/tokenize|/detokenize|/v1/models/\\*)\",(le=\"[^\"]+\",)?method=\"(GET|HEAD|POST|PUT|"
            + "DELETE|PATCH|OPTIONS|TRACE|CONNECT|OTHER)\"(,le=\"[^\"]+\")?(,status=\"[245]xx\")?\\}"
            + "|http_request_duration_highr_seconds.*");

    private final AtomicInteger next = new AtomicInteger();
    private final Map<Integer, Integer> answers = new TreeMap<>();

    @Test
    void everyMutantIsAnsweredAndTheServerIsAsBefore() throws Exception {
        try (RunningServer server = RunningServer.start(
                        "--max-model-len", "64", "--kv-cache-memory-bytes", "64M", "--served-model-name", "m");
                Client client = server.client();
                ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            String before = reference(client);
            Set<String> seriesBefore = series(client);
            List<Future<List<String>>> all = IntStream.range(0, AT_ONCE)
                    .mapToObj(i -> threads.submit(() -> faults(server.port())))
                    .toList();
            TreeSet<String> faults = new TreeSet<>();
            for (Future<List<String>> one : all) {
                faults.addAll(one.get());
            }
            assertThat(faults.stream().limit(20)).isEmpty();
            assertThat(answers.getOrDefault(200, 0))
                    .as("mutants that still were requests")
                    .isGreaterThan(MUTANTS / 10);
            assertThat(answers.getOrDefault(400, 0))
                    .as("mutants that were refused")
                    .isGreaterThan(MUTANTS / 10);
            client.awaitIdle();
            assertThat(reference(client)).isEqualTo(before);
            assertThat(client.get("/health")).contains("ok");
            assertThat(series(client).stream().filter(s -> !seriesBefore.contains(s)))
                    .as("series that a client has added")
                    .allMatch(HTTP_SERIES.asMatchPredicate());
        }
    }

    private static String reference(Client client) throws Exception {
        ObjectNode body = Client.completion("The quick brown fox", 24).put("temperature", 0);
        return client.post("/v1/completions", body).at("/choices/0/text").asString();
    }

    private static Set<String> series(Client client) throws Exception {
        return client.get("/metrics")
                .lines()
                .filter(line -> !line.startsWith("#"))
                .map(line -> line.substring(0, line.lastIndexOf(' ')))
                .collect(Collectors.toSet());
    }

    private List<String> faults(int port) {
        return IntStream.generate(next::getAndIncrement)
                .takeWhile(seed -> seed < MUTANTS)
                .mapToObj(Mutants::of)
                .map(mutant -> {
                    String fault = fault(port, mutant);
                    return fault == null ? null : fault + ", " + mutant.shown();
                })
                .filter(Objects::nonNull)
                .toList();
    }

    /** What is wrong with the answer, or null. */
    private @Nullable String fault(int port, Mutants.Mutant mutant) {
        try (RawClient client = new RawClient(port)) {
            sendAll(client, mutant.bytes());
            if (mutant.head()) {
                return client.head() == 405 ? null : "HEAD was served";
            }
            RawClient.Answer answer = client.answer();
            synchronized (answers) {
                answers.merge(answer.status(), 1, Integer::sum);
            }
            return faultOf(answer);
        } catch (IOException | RuntimeException e) {
            return "no answer: " + e;
        }
    }

    /** A server that refuses early may close before all has been sent; its answer can be read all the same. */
    private static void sendAll(RawClient client, byte[] bytes) throws IOException {
        try {
            client.send(bytes);
            client.socket().shutdownOutput();
        } catch (SocketException e) {
            assertThat(bytes.length).as("sent when the server closed").isGreaterThan(10_000);
        }
    }

    private static @Nullable String faultOf(RawClient.Answer answer) {
        int status = answer.status();
        if (status == 503 && !answer.headers().containsKey("Retry-After")) {
            return "503 without Retry-After";
        }
        if (status >= 500 && status != 503 && status != 505) {
            return "status " + status + " " + answer.body();
        }
        if (status >= 400) {
            return faultOfError(answer);
        }
        return answer.headers().getOrDefault("Content-Type", "").startsWith("text/event-stream")
                ? faultOfStream(answer.body())
                : null;
    }

    private static @Nullable String faultOfError(RawClient.Answer answer) {
        String body = answer.body();
        if (body.getBytes(StandardCharsets.UTF_8).length > LONGEST_ERROR) {
            return "an error of " + body.length() + " characters";
        }
        JsonNode error = parsed(body);
        boolean shaped = error != null
                && error.at("/error/message").isString()
                && !error.at("/error/message").asString().isBlank()
                && error.at("/error/type").isString()
                && error.at("/error/code").asInt() == answer.status()
                && error.path("error").has("param");
        return shaped ? null : "the error is not shaped as one: " + body;
    }

    private static @Nullable String faultOfStream(String body) {
        if (!body.endsWith("data: [DONE]\n\n")) {
            return "the stream has no end: " + body;
        }
        boolean sound = body.lines()
                .filter(line -> line.startsWith("data: {"))
                .map(line -> parsed(line.substring("data: ".length())))
                .allMatch(chunk -> chunk != null && !chunk.has("error"));
        return sound ? null : "a chunk is an error or no JSON: " + body;
    }

    private static @Nullable JsonNode parsed(String json) {
        try {
            return Client.JSON.readTree(json);
        } catch (JacksonException e) {
            return null;
        }
    }
}
