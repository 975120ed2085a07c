package dev.quire.bench;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * A closed loop: each client sends its next request when its last one has ended.
 *
 * @param server address of the server
 * @param model the name that requests carry
 */
record Load(URI server, @Nullable String apiKey, String model, Workload workload, long seed) {
    /** Runs requests with numbers from {@code first}; reports failures on standard error. */
    LatencyReport run(int concurrency, int first, int requests) throws InterruptedException {
        AtomicInteger next = new AtomicInteger(first);
        List<Sample> samples = new ArrayList<>();
        int failures = 0;
        long started = System.nanoTime();
        try (ExecutorService clients = Executors.newFixedThreadPool(concurrency)) {
            List<Future<Outcome>> outcomes = new ArrayList<>();
            for (int i = 0; i < concurrency; i++) {
                outcomes.add(clients.submit(() -> client(next, first + requests)));
            }
            for (Future<Outcome> outcome : outcomes) {
                Outcome done = outcome.get();
                samples.addAll(done.samples());
                failures += done.failures();
            }
        } catch (ExecutionException e) {
            throw new IllegalStateException("a client broke", e.getCause());
        }
        return LatencyReport.of(concurrency, failures, System.nanoTime() - started, samples);
    }

    private record Outcome(List<Sample> samples, int failures) {}

    private Outcome client(AtomicInteger next, int end) {
        List<Sample> samples = new ArrayList<>();
        int failures = 0;
        try (SseClient client = new SseClient(server, apiKey)) {
            for (int number = next.getAndIncrement(); number < end; number = next.getAndIncrement()) {
                try {
                    samples.add(request(client, workload.request(seed, number)));
                } catch (IOException | RuntimeException e) {
                    failures++;
                    System.err.println("request " + number + " failed: " + e.getMessage());
                    client.reset();
                }
            }
        }
        return new Outcome(samples, failures);
    }

    private Sample request(SseClient client, Workload.Shape shape) throws IOException {
        byte[] body = shape.json(model).getBytes(StandardCharsets.UTF_8);
        Answer answer = new Answer();
        long started = System.nanoTime();
        client.stream("/v1/completions", body, answer);
        return answer.sample(started, shape);
    }

    /** Notes when text came and what the server counted. */
    static final class Answer implements SseClient.Events {
        private long[] arrivals = new long[64];
        private int count;
        private int promptTokens = -1;
        private int outputTokens = -1;
        private boolean done;

        @Override
        public void event(String data) throws IOException {
            long now = System.nanoTime();
            if (data.equals("[DONE]")) {
                done = true;
                return;
            }
            JsonNode chunk = Json.parse(data);
            if (chunk.has("error")) {
                throw new IOException("the stream broke: " + chunk.get("error"));
            }
            if (!chunk.path("choices").isEmpty()) {
                arrivals = count == arrivals.length ? Arrays.copyOf(arrivals, 2 * count) : arrivals;
                arrivals[count++] = now;
            }
            JsonNode usage = chunk.path("usage");
            if (usage.isObject()) {
                promptTokens = usage.path("prompt_tokens").asInt();
                outputTokens = usage.path("completion_tokens").asInt();
            }
        }

        Sample sample(long started, Workload.Shape asked) throws IOException {
            if (!done || count == 0) {
                throw new IOException("the stream ended early, after " + count + " chunks");
            }
            if (outputTokens != asked.outputTokens() || promptTokens != asked.prompt().length) {
                throw new IOException("asked for " + asked.prompt().length + "+" + asked.outputTokens()
                        + " tokens, the server counted " + promptTokens + "+" + outputTokens);
            }
            return new Sample(started, Arrays.copyOf(arrivals, count), promptTokens, outputTokens);
        }
    }
}
