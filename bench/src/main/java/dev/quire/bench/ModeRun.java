package dev.quire.bench;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One run of the workload against a server in one batching mode.
 *
 * @param counters of the run alone
 * @param busyShare of the time in which the compute threads were on a processor, 0 to 1
 */
record ModeRun(Figures figures, ServerCounters counters, double busyShare) {
    double value(Metric metric) {
        return figures.values().getOrDefault(metric, 0.0);
    }

    /** Share of the time with a step on the device. */
    double stepShare() {
        return counters.stepSeconds() / figures.seconds();
    }

    /** By name, for JSON. */
    Map<String, Object> json() {
        Map<String, Object> map = new LinkedHashMap<>(figures.json());
        map.put("steps", counters.steps());
        map.put("computed_tokens", counters.computedTokens());
        map.put("padding_tokens", counters.paddingTokens());
        map.put("useful_share", counters.usefulShare());
        map.put("step_share", stepShare());
        map.put("compute_busy_share", busyShare);
        map.put("kv_waste", counters.kvWaste());
        return map;
    }
}
