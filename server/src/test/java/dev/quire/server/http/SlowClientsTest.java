package dev.quire.server.http;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Clients that take an answer slowly, or not at all. */
class SlowClientsTest {
    private static final Duration PATIENCE = Duration.ofSeconds(1);
    private static final int EVENT = 8 * 1024;

    private final HttpServer server = start();

    private static HttpServer start() {
        HttpOptions usual = HttpOptions.defaults();
        HttpOptions options = new HttpOptions(
                usual.host(),
                0,
                "",
                List.of(),
                usual.maxBodyBytes(),
                usual.maxConnections(),
                PATIENCE,
                PATIENCE,
                Duration.ofMillis(300),
                PATIENCE,
                Duration.ZERO);
        List<Route> routes = List.of(
                Route.open(
                        "GET",
                        "/whole/*",
                        x -> x.reply(new Reply(200, "text/plain", new byte[Integer.parseInt(x.tail())], Map.of()))),
                Route.open("GET", "/events/*", SlowClientsTest::events));
        try {
            return HttpServer.start(options, new Router(routes, (status, message) -> new byte[0], HttpObserver.NONE));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void events(Exchange exchange) throws InterruptedException {
        exchange.sse().send(new Repeated(new byte[EVENT], Integer.parseInt(exchange.tail())));
    }

    @AfterEach
    void stop() {
        server.close();
    }

    /** Whatever share of a stream is stuck, in the kernel, in the server or before its end, the connection goes. */
    @Test
    void aStreamThatIsNotReadToItsEndIsDroppedWhereverItIsStuck() throws Exception {
        List<RawClient> clients = new ArrayList<>();
        try {
            for (int events = 4; events <= 128; events += 2) {
                RawClient client = new RawClient(server.port());
                clients.add(client.get("/events/" + events));
                assertThat(client.head()).isEqualTo(200);
            }
            assertThat(server.connections()).isPositive();
            awaitNoConnections();
        } finally {
            for (RawClient client : clients) {
                client.close();
            }
        }
    }

    @Test
    void anAnswerThatIsNotReadIsDropped() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            client.get("/whole/10000000");
            assertThat(client.head()).isEqualTo(200);
            awaitNoConnections();
        }
    }

    @Test
    void aSlowReaderGetsALongAnswerToItsEnd() throws Exception {
        int length = 12_000_000;
        try (RawClient client = new RawClient(server.port())) {
            client.get("/whole/" + length);
            assertThat(client.head()).isEqualTo(200);
            long began = System.nanoTime();
            byte[] piece = new byte[length / 100];
            int got = 0;
            while (got < length) {
                int some = client.read(piece);
                assertThat(some).as("cut off after " + got + " bytes").isPositive();
                got += some;
                Thread.sleep(25);
            }
            assertThat(System.nanoTime() - began).isGreaterThan(2 * PATIENCE.toNanos());
        }
    }

    private void awaitNoConnections() throws InterruptedException {
        long deadline = System.nanoTime() + 5 * PATIENCE.toNanos();
        while (server.connections() > 0 && System.nanoTime() < deadline) {
            Thread.sleep(20);
        }
        assertThat(server.connections()).as("connections left").isZero();
    }
}
