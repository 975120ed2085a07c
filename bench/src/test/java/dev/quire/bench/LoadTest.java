package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** The load against a server of the JDK that answers as an OpenAI server does, or fails to. */
class LoadTest {
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private HttpServer server;
    private Load load;

    @BeforeEach
    void start() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.start();
        URI address = URI.create("http://127.0.0.1:" + server.getAddress().getPort());
        load = new Load(address, "key", "m", Workload.CHAT, 1);
    }

    @AfterEach
    void stop() {
        server.stop(0);
        threads.close();
    }

    private static void answer(HttpExchange exchange, int missing) throws IOException {
        JsonNode body = Json.parse(new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
        int tokens = body.path("max_tokens").asInt() - missing;
        exchange.sendResponseHeaders(200, 0);
        try (OutputStream out = exchange.getResponseBody()) {
            for (int i = 0; i < tokens; i++) {
                out.write("data: {\"choices\":[{\"text\":\"x\"}]}\n\n".getBytes(StandardCharsets.UTF_8));
            }
            String usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":"
                    + body.path("prompt").size() + ",\"completion_tokens\":" + tokens + "}}\n\ndata: [DONE]\n\n";
            out.write(usage.getBytes(StandardCharsets.UTF_8));
        }
    }

    @Test
    void everyRequestIsCountedOnce() throws InterruptedException {
        AtomicInteger seen = new AtomicInteger();
        server.createContext("/v1/completions", exchange -> {
            assertThat(exchange.getRequestHeaders().getFirst("Authorization")).isEqualTo("Bearer key");
            seen.incrementAndGet();
            answer(exchange, 0);
        });
        LatencyReport report = load.run(4, 0, 21);
        assertThat(seen).hasValue(21);
        assertThat(report.failures()).isZero();
        assertThat(report.requests()).isEqualTo(21);
        long asked = 0;
        for (int i = 0; i < 21; i++) {
            asked += Workload.CHAT.request(1, i).outputTokens();
        }
        assertThat(report.outputTokens()).isEqualTo(asked);
    }

    @Test
    void refusalsBrokenStreamsAndShortAnswersAreFailures() throws InterruptedException {
        AtomicInteger number = new AtomicInteger();
        server.createContext("/v1/completions", exchange -> {
            switch (number.getAndIncrement()) {
                case 0 -> {
                    exchange.sendResponseHeaders(503, -1);
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
        LatencyReport report = load.run(1, 0, 5);
        assertThat(report.failures()).isEqualTo(3);
        assertThat(report.requests()).isEqualTo(5);
    }

    @Test
    void anErrorInTheStreamIsReportedWithItsText() {
        Load.Answer answer = new Load.Answer();
        assertThatThrownBy(() -> answer.event("{\"error\":{\"message\":\"engine died\"}}"))
                .hasMessageContaining("engine died");
    }
}
