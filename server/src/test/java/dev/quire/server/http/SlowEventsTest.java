package dev.quire.server.http;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Streams with events that take long to make. */
class SlowEventsTest {
    private final CountDownLatch making = new CountDownLatch(1);
    private final CountDownLatch go = new CountDownLatch(1);
    private final HttpServer server = start();

    private HttpServer start() {
        List<Route> routes = List.of(
                Route.open("GET", "/open", x -> x.reply(Reply.text(200, "open"))),
                Route.open("GET", "/mixed", x -> x.sse().send(new Mixed())),
                Route.open("GET", "/held", x -> x.sse().send(new Held())),
                Route.open("GET", "/told", x -> x.sse().send(new Told(x))));
        try {
            return HttpServer.start(
                    HttpOptions.defaults(), new Router(routes, (status, message) -> new byte[0], HttpObserver.NONE));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Says which kind of thread makes each event; the second, third and fifth are slow. */
    private static final class Mixed implements EventSource {
        private int made;

        @Override
        public boolean slow() {
            return made == 1 || made == 2 || made == 4;
        }

        @Override
        public More next(SseEvents out) {
            out.add(bytes(made + (Thread.currentThread().isVirtual() ? " aside" : " loop")));
            return ++made == 6 ? More.NEVER : More.NOW;
        }

        @Override
        public void onNews(Runnable action) {}
    }

    /** An event that takes as long as the test wants. */
    private final class Held implements EventSource {
        @Override
        public boolean slow() {
            return true;
        }

        @Override
        public More next(SseEvents out) {
            making.countDown();
            awaitGo();
            out.add(bytes("held"));
            return More.NEVER;
        }

        @Override
        public void onNews(Runnable action) {}
    }

    /** Tells news while the first event is made, which then comes to nothing. */
    private static final class Told implements EventSource {
        private final Exchange exchange;
        private Runnable news = () -> {};
        private boolean told;

        Told(Exchange exchange) {
            this.exchange = exchange;
        }

        @Override
        public boolean slow() {
            return true;
        }

        @Override
        public More next(SseEvents out) {
            if (told) {
                out.add(bytes("told"));
                return More.NEVER;
            }
            told = true;
            news.run();
            // When this has run, the event loop has looked at the news.
            exchange.connection().belowEncoder().executor().submit(() -> {}).syncUninterruptibly();
            return More.LATER;
        }

        @Override
        public void onNews(Runnable action) {
            news = action;
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private void awaitGo() {
        try {
            go.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @AfterEach
    void stop() {
        go.countDown();
        server.close();
    }

    @Test
    void areMadeByTheThreadThatSendsAndTheOthersByTheEventLoop() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            assertThat(client.get("/mixed").answer().body().lines().filter(line -> !line.isEmpty()))
                    .containsExactly(
                            "data: 0 loop",
                            "data: 1 aside",
                            "data: 2 aside",
                            "data: 3 loop",
                            "data: 4 aside",
                            "data: 5 loop");
        }
    }

    @Test
    void delayNoOtherConnection() throws Exception {
        try (RawClient held = new RawClient(server.port())) {
            held.get("/held");
            making.await();
            for (int i = 0; i < 8; i++) {
                try (RawClient other = new RawClient(server.port())) {
                    assertThat(other.get("/open").answer().status()).isEqualTo(200);
                }
            }
            go.countDown();
            assertThat(held.answer().body()).isEqualTo("data: held\n\n");
        }
    }

    @Test
    void missNoNewsThatComesMeanwhile() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            long began = System.nanoTime();
            assertThat(client.get("/told").answer().body()).isEqualTo("data: told\n\n");
            assertThat(Duration.ofNanos(System.nanoTime() - began))
                    .as("what a look around finds comes after a second")
                    .isLessThan(Duration.ofSeconds(1));
        }
    }
}
