package dev.quire.bench;

import java.io.IOException;

/**
 * What Quire has counted since it started, or between two readings.
 *
 * @param steps of the engine
 * @param computedTokens in steps, padding among them
 * @param paddingTokens of them for nobody
 * @param stepSeconds with a step on the device
 * @param kvAllocated positions allocated in the KV cache, summed over steps
 * @param kvFilled of them those that held keys and values
 */
record ServerCounters(
        double steps,
        double computedTokens,
        double paddingTokens,
        double stepSeconds,
        double kvAllocated,
        double kvFilled) {
    /** Reads {@code /metrics} of a server. */
    static ServerCounters read(Target target) throws IOException, InterruptedException {
        return of(target.get("/metrics"));
    }

    /**
     * Reads the text of {@code /metrics}.
     *
     * @throws IOException when it is not that of a Quire server
     */
    static ServerCounters of(String metrics) throws IOException {
        return new ServerCounters(
                value(metrics, "vllm:iteration_tokens_total_count"),
                value(metrics, "quire:computed_tokens_total"),
                value(metrics, "quire:padding_tokens_total"),
                value(metrics, "quire:step_seconds_total"),
                value(metrics, "quire:kv_slots_allocated_total"),
                value(metrics, "quire:kv_slots_filled_total"));
    }

    private static double value(String metrics, String name) throws IOException {
        String line = metrics.lines()
                .filter(l -> l.startsWith(name + "{"))
                .findFirst()
                .orElseThrow(() -> new IOException("the server does not count " + name));
        return Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1));
    }

    /** What was counted since an earlier reading. */
    ServerCounters since(ServerCounters earlier) {
        return new ServerCounters(
                steps - earlier.steps,
                computedTokens - earlier.computedTokens,
                paddingTokens - earlier.paddingTokens,
                stepSeconds - earlier.stepSeconds,
                kvAllocated - earlier.kvAllocated,
                kvFilled - earlier.kvFilled);
    }

    /** Tokens in a step, padding among them, on average. */
    double tokensPerStep() {
        return share(computedTokens, steps);
    }

    /** Tokens computed for somebody, of all that were computed. */
    double usefulShare() {
        return share(computedTokens - paddingTokens, computedTokens);
    }

    /** Positions allocated for nothing, of all that were allocated. */
    double kvWaste() {
        return share(kvAllocated - kvFilled, kvAllocated);
    }

    private static double share(double part, double whole) {
        return whole == 0 ? 0 : part / whole;
    }
}
