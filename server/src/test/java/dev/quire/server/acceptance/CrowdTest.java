package dev.quire.server.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.server.http.RawClient;
import io.netty.util.ResourceLeakDetector;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.ObjectNode;

/** Clients that leave, that do not read, and that are too many: nothing of theirs stays, and nobody else notices. */
@Tag("model")
class CrowdTest {
    private static final int ROWS = 16;
    private static final int QUEUE = 64;
    private static final String COMPLETIONS = "/v1/completions";

    private static RunningServer server;
    private static Client client;

    @BeforeAll
    static void start() throws Exception {
        server = RunningServer.start(
                "--max-model-len", "2048",
                "--kv-cache-memory-bytes", "128M",
                "--max-num-batched-tokens", "64", // short steps: what is given up is free after the one that runs
                "--max-num-seqs", Integer.toString(ROWS),
                "--max-num-queued-reqs", Integer.toString(QUEUE),
                "--client-timeout", "3");
        client = server.client();
    }

    @AfterAll
    static void stop() {
        client.close();
        server.close();
    }

    @AfterEach
    void nothingIsLeft() throws Exception {
        client.awaitIdle();
    }

    private static ObjectNode endless(String prompt) {
        return Client.completion(prompt, 1900).put("ignore_eos", true);
    }

    private static RawClient ask(ObjectNode body) throws IOException {
        return new RawClient(server.port(), 4096).post(COMPLETIONS, body.toString());
    }

    private static void awaitMetric(String name, double atLeast) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (client.metric(name) < atLeast) {
            assertThat(System.nanoTime()).as(name + " gets to " + atLeast).isLessThan(deadline);
            Thread.sleep(5);
        }
    }

    @Test
    void aClientThatLeavesBeforeItsFirstTokenFreesItsPlace() throws Exception {
        double before = client.metric("vllm:generation_tokens_total");
        try (RawClient _ =
                ask(Client.completion("a long prompt ".repeat(600), 5).put("stream", true))) {
            awaitMetric("vllm:num_requests_running", 1);
        }
        client.awaitIdle();
        assertThat(client.metric("vllm:generation_tokens_total") - before).isLessThanOrEqualTo(1);
    }

    @Test
    void clientsThatLeaveWithoutAStreamOrWhileQueuedFreeTheirPlaces() throws Exception {
        List<RawClient> clients = new ArrayList<>();
        try {
            for (int i = 0; i < 3 * ROWS; i++) {
                clients.add(ask(endless("Tale " + i).put("stream", i % 2 == 0)));
            }
            awaitMetric("vllm:num_requests_running", ROWS);
            awaitMetric("vllm:num_requests_waiting", ROWS);
        } finally {
            for (RawClient one : clients) {
                one.close();
            }
        }
    }

    @Test
    void threeHundredThatAbortDoNotChangeAVictimsText() throws Exception {
        ObjectNode victim = Client.completion("The history of the lighthouse", 160)
                .put("ignore_eos", true)
                .put("temperature", 0);
        String alone = text(victim);
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            Future<String> among = threads.submit(() -> text(victim));
            int aborts = 0;
            while (aborts < 300) {
                List<RawClient> some = new ArrayList<>();
                for (int i = 0; i < 10; i++) {
                    some.add(ask(endless("The history of " + aborts++).put("stream", aborts % 3 > 0)));
                }
                Thread.sleep(10);
                for (RawClient one : some) {
                    one.close();
                }
            }
            assertThat(among.get()).isEqualTo(alone);
        }
    }

    private static String text(ObjectNode body) throws Exception {
        return client.post(COMPLETIONS, body).at("/choices/0/text").asString();
    }

    /** Each token comes with its alternatives, so that streams that nobody reads are full soon. */
    @Test
    void streamsThatNobodyReadRestAndAreDropped() throws Exception {
        List<RawClient> clients = new ArrayList<>();
        try {
            for (int i = 0; i < ROWS / 4; i++) {
                clients.add(ask(endless("Tale " + i).put("stream", true).put("logprobs", 20)));
            }
            awaitMetric("vllm:num_requests_running", ROWS / 4);
            double drawn = -1;
            long slowest = 0;
            double now = client.metric("vllm:generation_tokens_total");
            while (now > drawn + 20) {
                drawn = now;
                long began = System.nanoTime();
                client.post(COMPLETIONS, Client.completion("Hello", 2));
                slowest = Math.max(slowest, System.nanoTime() - began);
                Thread.sleep(300);
                now = client.metric("vllm:generation_tokens_total");
            }
            assertThat(Duration.ofNanos(slowest)).as("slowest of the others").isLessThan(Duration.ofSeconds(3));
            assertThat(client.metric("vllm:num_requests_running"))
                    .as("those that rest")
                    .isPositive();
            long deadline = System.nanoTime() + Duration.ofSeconds(10).toNanos();
            while (client.metric("vllm:num_requests_running") > 0) {
                assertThat(System.nanoTime()).as("dropped in time").isLessThan(deadline);
                Thread.sleep(20);
            }
        } finally {
            for (RawClient one : clients) {
                one.close();
            }
        }
    }

    private record Outcome(int status, boolean retryAfter, boolean complete, Duration took) {}

    /** Timed without the leak detector, which multiplies what a request costs. */
    @Test
    void aThousandAtOnceAreServedOrToldToComeBackAtOnce() throws Exception {
        ResourceLeakDetector.Level level = ResourceLeakDetector.getLevel();
        ResourceLeakDetector.setLevel(ResourceLeakDetector.Level.SIMPLE);
        try {
            wave(300, Duration.ofSeconds(10)); // the first of anything takes longer
            List<Outcome> outcomes = wave(1000, Duration.ofSeconds(1));
            assertThat(outcomes)
                    .allMatch(o -> o.status() == 200 ? o.complete() : o.status() == 503 && o.retryAfter())
                    .allMatch(o -> o.status() == 200 || o.took().toSeconds() < 3);
            assertThat(outcomes.stream().filter(o -> o.status() == 200)).hasSizeBetween(QUEUE, 999);
        } finally {
            ResourceLeakDetector.setLevel(level);
        }
    }

    /** So many requests at once, half of them streams, while a probe asks whether the server is well. */
    private static List<Outcome> wave(int size, Duration limit) throws Exception {
        CountDownLatch go = new CountDownLatch(1);
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
                RawClient probe = new RawClient(server.port())) {
            List<Future<Outcome>> all = IntStream.range(0, size)
                    .mapToObj(i -> threads.submit(outcome(i % 2 == 0, go)))
                    .toList();
            go.countDown();
            long slowest = 0;
            while (all.stream().anyMatch(f -> !f.isDone())) {
                long began = System.nanoTime();
                assertThat(probe.get("/health").answer().status()).isEqualTo(200);
                slowest = Math.max(slowest, System.nanoTime() - began);
                Thread.sleep(10);
            }
            System.out.printf("%d at once: the slowest probe took %d ms%n", size, slowest / 1_000_000);
            assertThat(Duration.ofNanos(slowest)).as("slowest probe").isLessThan(limit);
            List<Outcome> outcomes = new ArrayList<>();
            for (Future<Outcome> one : all) {
                outcomes.add(one.get());
            }
            return outcomes;
        }
    }

    private static Callable<Outcome> outcome(boolean stream, CountDownLatch go) {
        return () -> {
            try (RawClient one = new RawClient(server.port())) {
                one.socket().setSoTimeout(60_000);
                go.await();
                long began = System.nanoTime();
                RawClient.Answer answer = one.post(
                                COMPLETIONS,
                                Client.completion("Hello there", 8)
                                        .put("ignore_eos", true)
                                        .put("stream", stream)
                                        .toString())
                        .answer();
                return new Outcome(
                        answer.status(),
                        answer.headers().containsKey("Retry-After"),
                        answer.body().contains(stream ? "data: [DONE]" : "\"completion_tokens\":8"),
                        Duration.ofNanos(System.nanoTime() - began));
            }
        };
    }
}
