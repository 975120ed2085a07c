package dev.quire.server.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.ObjectNode;

/** A storm of streams, half of them cut by the client, leaves nothing behind. */
@Tag("model")
class NothingLeaksTest {
    private static final int STREAMS = 1000;

    @Test
    void aThousandStreamsHalfOfThemCutLeaveNothingBehind() throws Exception {
        try (RunningServer server = RunningServer.start()) {
            try (Client client = server.client()) {
                storm(client, 20, 7);
            }
            int threadsBefore = platformThreads();
            long filesBefore = openFiles();
            try (Client client = server.client()) {
                storm(client, STREAMS, 42);
                long deadline = System.nanoTime() + Duration.ofSeconds(1).toNanos();
                while (busy(client) && System.nanoTime() < deadline) {
                    Thread.sleep(10);
                }
                assertThat(client.metric("vllm:num_requests_running")).isZero();
                assertThat(client.metric("vllm:num_requests_waiting")).isZero();
                assertThat(client.metric("vllm:kv_cache_usage_perc")).isZero();
                assertThat(client.metric("quire:kv_repairs"))
                        .as("faults that the check found when idle")
                        .isZero();
                assertThat(client.metric("vllm:request_success_total")).isGreaterThanOrEqualTo(STREAMS);
            }
            long deadline = System.nanoTime() + Duration.ofSeconds(10).toNanos();
            while ((openFiles() > filesBefore || platformThreads() > threadsBefore + 2)
                    && System.nanoTime() < deadline) {
                Thread.sleep(50);
            }
            assertThat(openFiles()).isLessThanOrEqualTo(filesBefore);
            assertThat(platformThreads()).isLessThanOrEqualTo(threadsBefore + 2);
        }
    }

    private static boolean busy(Client client) throws Exception {
        return client.metric("vllm:num_requests_running") > 0
                || client.metric("vllm:num_requests_waiting") > 0
                || client.metric("vllm:kv_cache_usage_perc") > 0;
    }

    private static void storm(Client client, int streams, long seed) throws Exception {
        SplittableRandom random = new SplittableRandom(seed);
        Semaphore together = new Semaphore(48);
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < streams; i++) {
                ObjectNode body = Client.completion(
                                "Request " + i + ": " + "words ".repeat(random.nextInt(40)), 4 + random.nextInt(24))
                        .put("ignore_eos", true);
                int leaveAfter = random.nextBoolean() ? Integer.MAX_VALUE : 1 + random.nextInt(6);
                together.acquire();
                all.add(threads.submit(() -> {
                    try {
                        return client.stream(body, leaveAfter);
                    } finally {
                        together.release();
                    }
                }));
            }
            for (Future<?> one : all) {
                one.get();
            }
        }
    }

    private static int platformThreads() {
        return java.lang.management.ManagementFactory.getThreadMXBean().getThreadCount();
    }

    private static long openFiles() throws Exception {
        try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
            return files.count();
        }
    }
}
