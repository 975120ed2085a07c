package dev.quire.bench;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Measures one server. Warm-up requests and every run have tokens of their own, so that a prefix cache knows none.
 *
 * @param model name in requests
 * @param promptSeed decides the tokens of the prompts, not their lengths
 * @param silence a request fails when nothing of its answer comes for so long
 */
record Measurement(Target target, String model, RequestBodies.Form form, long promptSeed, Duration silence, Slo slo) {
    private static final int SHOWN_FAILURES = 5;

    /** A few requests whose figures are thrown away. */
    void warmUp(int requests) throws IOException {
        List<Lengths> lengths = Workload.CHAT.lengths(0, requests);
        run("warm-up", LoadPlan.closed(lengths, 2), -1);
    }

    /** Runs a plan; {@code run} tells runs with the same prompt seed apart. */
    Figures run(String title, LoadPlan plan, long run) throws IOException {
        RequestBodies bodies = new RequestBodies(model, form, mix(promptSeed, run));
        long cpu = cpuNanos();
        LoadLoop.Outcome outcome;
        try (ProgressLine progress = new ProgressLine(title, plan.requests().size())) {
            outcome = new LoadLoop(target, bodies, plan, silence, progress::done).run();
        }
        outcome.failures().stream().limit(SHOWN_FAILURES).forEach(failure -> System.err.println("failed: " + failure));
        if (outcome.failures().size() > SHOWN_FAILURES) {
            System.err.println("... and " + (outcome.failures().size() - SHOWN_FAILURES) + " more failures");
        }
        return Figures.of(outcome, (cpuNanos() - cpu) / 1e9, slo);
    }

    /** A seed made of two. */
    static long mix(long seed, long other) {
        return new SplittableRandom(seed ^ Long.reverse(other)).nextLong();
    }

    private static long cpuNanos() {
        return ProcessHandle.current()
                .info()
                .totalCpuDuration()
                .map(Duration::toNanos)
                .orElse(0L);
    }
}
