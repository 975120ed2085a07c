package dev.quire.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.server.http.RawClient;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A server from its first to its last moment, as probes and clients see it. */
@Timeout(60)
class ServerLifeTest {
    private static final String STREAM =
            "{\"prompt\":\"Once\",\"max_tokens\":%d,\"ignore_eos\":true,\"stream\":true,\"stream_options\":{\"include_usage\":true}}";

    @TempDir
    private Path folder = Path.of("");

    private static QuireServer start(String... flags) throws IOException {
        String[] all = Stream.concat(Stream.of(flags), Stream.of("--offline")).toArray(String[]::new);
        return switch (Flags.parse(Map.of(), all)) {
            case Flags.Parsed.Serve(ServerConfig config) -> QuireServer.start(config);
            case Flags.Parsed.Exit(int code, String text) -> throw new AssertionError(code + ": " + text);
        };
    }

    private static QuireServer ready(String... flags) throws Exception {
        String model = System.getProperty("quire.test.model", "");
        assertThat(model).as("quire.test.model").isNotEmpty();
        QuireServer server = start(Stream.concat(
                        Stream.of(
                                "--port",
                                "0",
                                "--model",
                                model,
                                "--max-model-len",
                                "2048",
                                "--kv-cache-memory-bytes",
                                "64M"),
                        Stream.of(flags))
                .toArray(String[]::new));
        server.awaitReady();
        return server;
    }

    private static RawClient.Answer get(QuireServer server, String path) throws IOException {
        try (RawClient client = new RawClient(server.port())) {
            return client.get(path).answer();
        }
    }

    private static RawClient.Answer post(QuireServer server, String json) throws IOException {
        try (RawClient client = new RawClient(server.port())) {
            return client.post("/v1/completions", json).answer();
        }
    }

    private static CompletableFuture<Integer> end(QuireServer server) {
        return CompletableFuture.supplyAsync(() -> {
            try {
                return server.awaitEnd();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    /** The model is a pipe: it can be opened, but says nothing until the test does. */
    private Path silentModel() throws Exception {
        Path pipe = folder.resolve("silent.gguf");
        assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor())
                .isZero();
        return pipe;
    }

    @Test
    void whileTheModelLoadsProbesSeeThePhaseAndRequestsAreToldToComeBack() throws Exception {
        Path pipe = silentModel();
        QuireServer server = start("--port", "0", "--model", pipe.toString());
        for (String path : new String[] {"/health", "/readyz", "/startupz"}) {
            RawClient.Answer probe = get(server, path);
            assertThat(probe.status()).as(path).isEqualTo(503);
            assertThat(probe.body())
                    .contains("\"status\":\"loading\"")
                    .containsPattern("\"phase\":\"[^\"]+\",\"percent\":\\d+");
        }
        assertThat(get(server, "/livez").status()).isEqualTo(200);
        assertThat(get(server, "/metrics").status()).isEqualTo(200);
        RawClient.Answer answer = post(server, "{\"prompt\":\"x\",\"stream\":true}");
        assertThat(answer.status()).isEqualTo(503);
        assertThat(answer.headers()).containsKeys("Retry-After", "retry-after-ms");
        assertThat(answer.body()).contains("still loading").contains("ServiceUnavailableError");
        assertThat(get(server, "/v1/models").status()).isEqualTo(503);
        assertThat(server.beginStop()).isTrue();
        assertThat(end(server).get(5, TimeUnit.SECONDS))
                .as("a stop does not wait for the model")
                .isEqualTo(QuireServer.STOPPED);
        Files.newOutputStream(pipe).close(); // lets the loader's thread go
    }

    @Test
    void aModelThatCannotBeLoadedEndsTheServerWithItsName() throws Exception {
        Path broken = Files.writeString(folder.resolve("broken.gguf"), "this is not a model");
        QuireServer server = start("--port", "0", "--model", broken.toString());
        assertThatThrownBy(server::awaitReady)
                .isInstanceOf(IllegalStateException.class)
                .cause()
                .hasMessageContaining("broken.gguf");
        assertThat(end(server).get(10, TimeUnit.SECONDS)).isEqualTo(QuireServer.FAILED);
        assertThatThrownBy(() -> get(server, "/health"))
                .as("the port is closed")
                .isInstanceOf(IOException.class);
    }

    @Test
    void aModelThatIsNotThereEndsTheServer() throws Exception {
        QuireServer server =
                start("--port", "0", "--model", folder.resolve("none.gguf").toString());
        assertThatThrownBy(server::awaitReady).cause().hasMessageContaining("none.gguf");
        assertThat(end(server).get(10, TimeUnit.SECONDS)).isEqualTo(QuireServer.FAILED);
    }

    @Test
    void aPortInUseIsNamed() throws Exception {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            String port = Integer.toString(taken.getLocalPort());
            assertThatThrownBy(() -> start("--port", port, "--host", "127.0.0.1"))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("127.0.0.1:" + port);
        }
        assertThatThrownBy(() -> start("--port", "0", "--host", "no.such.host.invalid"))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("no.such.host.invalid")
                .hasMessageNotContaining("null");
    }

    @Test
    @Tag("model")
    void aStopRefusesTheNewAndFinishesWhatRuns() throws Exception {
        QuireServer server = ready();
        try (RawClient running = new RawClient(server.port())) {
            running.post("/v1/completions", STREAM.formatted(300));
            assertThat(running.head()).isEqualTo(200);
            firstText(running);
            assertThat(server.beginStop()).isTrue();
            assertThat(server.beginStop()).as("a second stop is told apart").isFalse();
            awaitDraining(server);
            RawClient.Answer health = get(server, "/health");
            assertThat(health.status()).isEqualTo(503);
            assertThat(health.headers()).containsEntry("Connection", "close").containsKey("Retry-After");
            for (String json : new String[] {"{\"prompt\":\"x\"}", "{\"prompt\":\"x\",\"stream\":true}"}) {
                RawClient.Answer refused = post(server, json);
                assertThat(refused.status()).isEqualTo(503);
                assertThat(refused.headers())
                        .containsEntry("Connection", "close")
                        .containsKey("Retry-After");
            }
            String rest = rest(running);
            assertThat(rest)
                    .contains("\"completion_tokens\":300")
                    .contains("data: [DONE]")
                    .doesNotContain("{\"error\":");
            assertThat(end(server).get(10, TimeUnit.SECONDS)).isEqualTo(QuireServer.STOPPED);
        }
    }

    @Test
    @Tag("model")
    void pastTheTimeForItStreamsEndWithAnErrorAndWholeAnswersWith503() throws Exception {
        QuireServer server = ready("--shutdown-timeout", "1");
        try (RawClient stream = new RawClient(server.port());
                RawClient whole = new RawClient(server.port())) {
            whole.post(
                    "/v1/completions",
                    STREAM.formatted(2000).replace(",\"stream\":true,\"stream_options\":{\"include_usage\":true}", ""));
            stream.post("/v1/completions", STREAM.formatted(2000));
            assertThat(stream.head()).isEqualTo(200);
            firstText(stream);
            long began = System.nanoTime();
            server.beginStop();
            String rest = rest(stream);
            assertThat(rest).contains("\"code\":503").contains("data: [DONE]").doesNotContain("\"finish_reason\":\"");
            RawClient.Answer cut = whole.answer();
            assertThat(cut.status()).isEqualTo(503);
            assertThat(cut.headers()).containsKey("Retry-After");
            assertThat(end(server).get(10, TimeUnit.SECONDS)).isEqualTo(QuireServer.STOPPED);
            assertThat(Duration.ofNanos(System.nanoTime() - began)).isLessThan(Duration.ofSeconds(4));
        }
    }

    /** Everything an answer consists of is out before the port closes, though its reader is slow. */
    @Test
    @Tag("model")
    void aSlowReaderGetsTheEndOfItsAnswerThoughTheServerStops() throws Exception {
        QuireServer server = ready();
        try (RawClient client = new RawClient(server.port(), 4096)) {
            client.post(
                    "/tokenize", "{\"return_token_strs\":true,\"prompt\":\"" + "so it goes ".repeat(100_000) + "\"}");
            assertThat(client.head()).isEqualTo(200);
            server.beginStop();
            awaitDraining(server);
            Thread.sleep(200);
            String body = new String(client.socket().getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(body).endsWith("]}");
            assertThat(end(server).get(10, TimeUnit.SECONDS)).isEqualTo(QuireServer.STOPPED);
        }
    }

    private static void awaitDraining(QuireServer server) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(1).toNanos();
        while (get(server, "/health").status() == 200) {
            assertThat(System.nanoTime()).as("health is 503 at once").isLessThan(deadline);
        }
    }

    private static void firstText(RawClient stream) throws IOException {
        String line = stream.line();
        while (!line.contains("\"text\"")) {
            line = stream.line();
        }
    }

    private static String rest(RawClient stream) throws IOException {
        StringBuilder out = new StringBuilder();
        String line = stream.line();
        while (!line.equals("data: [DONE]")) {
            out.append(line).append('\n');
            line = stream.line();
        }
        return out.append(line).toString();
    }
}
