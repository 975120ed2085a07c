package dev.quire.server.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Requests join and leave the batch at every step. */
@Tag("model")
class IterationLevelTest {
    @Test
    void aShortRequestReturnsWhileALongOneRuns() throws Exception {
        try (RunningServer server = RunningServer.start();
                Client client = server.client();
                ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            ObjectNode longRequest = Client.completion("Once upon a time", 400)
                    .put("ignore_eos", true)
                    .put("temperature", 0);
            Future<JsonNode> slow = threads.submit(() -> client.post("/v1/completions", longRequest));
            while (client.metric("vllm:num_requests_running") < 1) {
                Thread.onSpinWait();
            }
            JsonNode quick = client.post("/v1/completions", Client.completion("Hello", 5));
            assertThat(quick.at("/usage/completion_tokens").asInt()).isLessThanOrEqualTo(5);
            assertThat(slow.isDone()).isFalse();
            assertThat(slow.get().at("/usage/completion_tokens").asInt()).isEqualTo(400);
        }
    }

    /**
     * Eight streams run when a prompt as long as a 4,000-token document arrives. The gaps are reported and held to a
     * loose bound, which a prefill in one piece (some 30 times the gap before) fails.
     */
    @Test
    void aLongPromptDoesNotStopRunningStreams() throws Exception {
        try (RunningServer server = RunningServer.start();
                Client client = server.client();
                ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<List<Long>>> streams = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                ObjectNode body = Client.completion("Stream number " + i + " tells a story.", 600)
                        .put("ignore_eos", true);
                streams.add(threads.submit(() -> client.stream(body, Integer.MAX_VALUE)));
            }
            while (client.metric("vllm:generation_tokens_total") < 8 * 100) {
                Thread.sleep(20);
            }
            long arrives = System.nanoTime();
            client.post("/v1/completions", Client.completion("The quick brown fox jumps. ".repeat(650), 1));
            long answered = System.nanoTime();
            List<Double> before = new ArrayList<>();
            List<Double> during = new ArrayList<>();
            for (Future<List<Long>> stream : streams) {
                List<Long> at = stream.get();
                for (int i = 1; i < at.size(); i++) {
                    double gap = (at.get(i) - at.get(i - 1)) / 1e6;
                    if (at.get(i) < arrives) {
                        before.add(gap);
                    } else if (at.get(i) < answered) {
                        during.add(gap);
                    }
                }
            }
            double usual = percentile(before, 0.99);
            double busy = percentile(during, 0.99);
            System.out.printf(
                    "inter-token gap p99: %.1f ms before, %.1f ms while a long prompt prefills (%.2f x), p50 %.1f and %.1f ms, prefill took %.2f s%n",
                    usual,
                    busy,
                    busy / usual,
                    percentile(before, 0.5),
                    percentile(during, 0.5),
                    (answered - arrives) / 1e9);
            assertThat(during).hasSizeGreaterThan(100);
            assertThat(busy / percentile(before, 0.5)).isLessThan(15);
        }
    }

    private static double percentile(List<Double> values, double p) {
        List<Double> sorted = values.stream().sorted().toList();
        return sorted.get((int) Math.min(sorted.size() - 1L, Math.round(p * (sorted.size() - 1))));
    }
}
