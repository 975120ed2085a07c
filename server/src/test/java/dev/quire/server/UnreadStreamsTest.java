package dev.quire.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.server.http.HttpOptions;
import dev.quire.server.http.RawClient;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Five hundred clients that open an endless stream and do not read it. */
class UnreadStreamsTest {
    private static final int CLIENTS = 500;
    private static final long MAX_GROWTH = 256L << 20;
    private static final Duration PATIENCE = Duration.ofSeconds(8);

    private final List<RawClient> clients = new ArrayList<>();
    private final ScriptedServer server = new ScriptedServer(options()).ready();

    private static HttpOptions options() {
        HttpOptions usual = HttpOptions.defaults();
        return new HttpOptions(
                usual.host(),
                0,
                "",
                List.of(),
                usual.maxBodyBytes(),
                usual.maxConnections(),
                usual.headerTimeout(),
                usual.bodyTimeout(),
                usual.keepAliveTimeout(),
                PATIENCE,
                usual.sseKeepAlive());
    }

    @AfterEach
    void stop() throws Exception {
        for (RawClient client : clients) {
            client.close();
        }
        server.close();
    }

    @Test
    void costBoundedMemoryDisturbNobodyAndAreDropped() throws Exception {
        server.texts.endless = "word ".repeat(2000);
        long before = used();
        for (int i = 0; i < CLIENTS; i++) {
            RawClient client = new RawClient(server.http.port(), 8192);
            clients.add(client.post("/v1/completions", "{\"prompt\":\"x\",\"stream\":true}"));
        }
        assertThat(awaitStill()).as("texts that nobody has read").isLessThan(CLIENTS * 100);
        assertThat(server.texts.open).hasValue(CLIENTS);
        assertThat(used() - before).as("bytes held for them").isLessThan(MAX_GROWTH);
        assertThat(slowest(200)).as("slowest of 200 other requests").isLessThan(Duration.ofMillis(500));
        long deadline = System.nanoTime() + PATIENCE.multipliedBy(2).toNanos();
        while ((server.texts.open.get() > 0 || server.live.count() > 0 || server.http.connections() > 0)
                && System.nanoTime() < deadline) {
            Thread.sleep(20);
        }
        assertThat(server.texts.open).as("streams left").hasValue(0);
        assertThat(server.live.count()).isZero();
        assertThat(server.http.connections()).isZero();
    }

    /** Waits until no text is taken any more, and returns how many were. */
    private int awaitStill() throws InterruptedException {
        int last = -1;
        int now = server.texts.deltas.get();
        while (now != last || server.texts.started.get() < CLIENTS) {
            last = now;
            Thread.sleep(200);
            now = server.texts.deltas.get();
        }
        return last;
    }

    private Duration slowest(int requests) throws Exception {
        long worst = 0;
        for (int i = 0; i < requests; i++) {
            long began = System.nanoTime();
            assertThat(server.post("/tokenize", "{\"prompt\":\"x\"}").status()).isEqualTo(200);
            worst = Math.max(worst, System.nanoTime() - began);
        }
        return Duration.ofNanos(worst);
    }

    private static long used() {
        System.gc();
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed()
                + ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
                        .mapToLong(BufferPoolMXBean::getMemoryUsed)
                        .sum();
    }
}
