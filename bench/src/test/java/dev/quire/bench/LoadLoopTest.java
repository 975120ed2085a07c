package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** The load against a server of the JDK that answers as an OpenAI server does, or fails to. */
class LoadLoopTest {
    private static final Duration LONG = Duration.ofSeconds(60);

    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final AtomicInteger ended = new AtomicInteger();
    private HttpServer server;
    private URI address;

    @BeforeEach
    void start() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.start();
        address = URI.create("http://127.0.0.1:" + server.getAddress().getPort());
    }

    @AfterEach
    void stop() {
        server.stop(0);
        threads.close();
    }

    private LoadLoop.Outcome run(URI at, LoadPlan plan, Duration silence) throws IOException {
        RequestBodies bodies = new RequestBodies("m", RequestBodies.Form.IDS, 1);
        return new LoadLoop(new Target(at, "key"), bodies, plan, silence, ended::set).run();
    }

    private LoadLoop.Outcome run(int clients, int requests) throws IOException {
        return run(address, LoadPlan.closed(Workload.RAGGED.lengths(1, requests), clients), LONG);
    }

    private static void await(CountDownLatch others) {
        try {
            assertThat(others.await(30, TimeUnit.SECONDS))
                    .as("they run at once")
                    .isTrue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void answer(HttpExchange exchange, int missing) throws IOException {
        JsonNode body = Json.parse(new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
        int tokens = body.path("max_tokens").asInt() - missing;
        exchange.sendResponseHeaders(200, 0);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(
                    "data: {\"choices\":[{\"text\":\"x\"}]}\n\n".repeat(tokens).getBytes(StandardCharsets.UTF_8));
            String usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":"
                    + body.path("prompt").size() + ",\"completion_tokens\":" + tokens + "}}\n\ndata: [DONE]\n\n";
            out.write(usage.getBytes(StandardCharsets.UTF_8));
        }
    }

    @Test
    void everyRequestIsSentOnceAndNoMoreAtOnceThanAsked() throws IOException {
        AtomicInteger seen = new AtomicInteger();
        Set<InetSocketAddress> connections = ConcurrentHashMap.newKeySet();
        CountDownLatch together = new CountDownLatch(4);
        server.createContext("/v1/completions", exchange -> {
            assertThat(exchange.getRequestHeaders().getFirst("Authorization")).isEqualTo("Bearer key");
            seen.incrementAndGet();
            connections.add(exchange.getRemoteAddress());
            together.countDown();
            await(together);
            answer(exchange, 0);
        });
        LoadLoop.Outcome outcome = run(4, 21);
        assertThat(seen).hasValue(21);
        assertThat(ended).hasValue(21);
        assertThat(connections).as("one for each client, kept").hasSize(4);
        assertThat(outcome.failures()).isEmpty();
        List<Lengths> asked = Workload.RAGGED.lengths(1, 21);
        assertThat(outcome.samples().stream().mapToInt(Sample::outputTokens).sum())
                .isEqualTo(asked.stream().mapToInt(Lengths::output).sum());
        assertThat(outcome.samples().stream().mapToInt(Sample::promptTokens).sum())
                .isEqualTo(asked.stream().mapToInt(Lengths::prompt).sum());
    }

    @Test
    void refusalsBrokenStreamsAndShortAnswersAreFailures() throws IOException {
        AtomicInteger number = new AtomicInteger();
        server.createContext("/v1/completions", exchange -> {
            switch (number.getAndIncrement()) {
                case 0 -> {
                    exchange.sendResponseHeaders(503, 4);
                    exchange.getResponseBody().write("busy".getBytes(StandardCharsets.UTF_8));
                    exchange.close();
                }
                case 1 -> answer(exchange, 1);
                case 2 -> {
                    exchange.sendResponseHeaders(200, 0);
                    exchange.getResponseBody().write("data: {\"choices\":[{}]}\n\n".getBytes(StandardCharsets.UTF_8));
                    exchange.close();
                }
                default -> answer(exchange, 0);
            }
        });
        LoadLoop.Outcome outcome = run(1, 5);
        assertThat(outcome.samples()).hasSize(2);
        assertThat(outcome.failures()).hasSize(3);
        assertThat(outcome.failures().getFirst()).contains("503").contains("busy");
        assertThat(outcome.failures().get(1)).contains("server counted");
        assertThat(outcome.failures().get(2)).contains("ended early");
    }

    @Test
    void anOpenLoopWaitsForNobody() throws IOException {
        CountDownLatch all = new CountDownLatch(12);
        server.createContext("/v1/completions", exchange -> {
            all.countDown();
            await(all);
            answer(exchange, 0);
        });
        LoadPlan plan = LoadPlan.poisson(Workload.RAGGED.lengths(1, 12), 1000, new SplittableRandom(1));
        assertThat(run(address, plan, LONG).samples()).hasSize(12);
    }

    @Test
    void aRequestIsNotSentBeforeItsTime() throws IOException {
        server.createContext("/v1/completions", exchange -> answer(exchange, 0));
        LoadPlan plan = LoadPlan.replay(List.of(new Trace.Arrival(0, 4, 2), new Trace.Arrival(200, 4, 2)), 1);
        List<Sample> samples = run(address, plan, LONG).samples();
        assertThat(samples.get(1).started() - samples.getFirst().started()).isGreaterThan(195_000_000L);
    }

    @Test
    void aServerThatFallsSilentIsGivenUp() throws IOException {
        try (ServerSocket deaf = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
            URI at = URI.create("http://127.0.0.1:" + deaf.getLocalPort());
            LoadPlan plan = LoadPlan.closed(Workload.CHAT.lengths(1, 2), 2);
            LoadLoop.Outcome outcome = run(at, plan, Duration.ofMillis(100));
            assertThat(outcome.failures())
                    .hasSize(2)
                    .allSatisfy(text -> assertThat(text).contains("nothing came"));
        }
    }

    @Test
    void aServerThatIsNotThereFailsEveryRequest() throws IOException {
        URI nowhere;
        try (ServerSocket port = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            nowhere = URI.create("http://127.0.0.1:" + port.getLocalPort());
        }
        assertThat(run(nowhere, LoadPlan.closed(Workload.CHAT.lengths(1, 3), 2), LONG)
                        .failures())
                .hasSize(3);
    }

    /** Some servers close a kept connection just when the next request comes. */
    @Test
    void aKeptConnectionThatTheServerHasClosedIsReplaced() throws Exception {
        try (ServerSocket rude = new ServerSocket(0, 10, InetAddress.getLoopbackAddress())) {
            Thread answering = Thread.ofVirtual().start(() -> answerOncePerConnection(rude, 3));
            URI at = URI.create("http://127.0.0.1:" + rude.getLocalPort());
            LoadPlan plan = LoadPlan.closed(Workload.OFFLINE.lengths(1, 3), 1);
            LoadLoop.Outcome outcome = run(at, plan, LONG);
            assertThat(outcome.failures()).isEmpty();
            assertThat(outcome.samples()).hasSize(3);
            answering.join();
        }
    }

    /** Answers a request and says nothing of closing; then waits for the next one and closes without an answer. */
    private static void answerOncePerConnection(ServerSocket listening, int connections) {
        String events = """
                data: {"choices":[{"text":"x"}]}

                data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":128}}

                data: [DONE]

                """;
        for (int i = 0; i < connections; i++) {
            try (Socket socket = listening.accept()) {
                byte[] request = new byte[1 << 16];
                int length = 0;
                while (!new String(request, 0, length, StandardCharsets.UTF_8).endsWith("true}}")) {
                    length += socket.getInputStream().read(request, length, request.length - length);
                }
                String answer = "HTTP/1.1 200 OK\r\nContent-Length: " + events.length() + "\r\n\r\n" + events;
                socket.getOutputStream().write(answer.getBytes(StandardCharsets.UTF_8));
                if (i < connections - 1) {
                    int next = socket.getInputStream().read();
                    assertThat(next).isNotNegative();
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
