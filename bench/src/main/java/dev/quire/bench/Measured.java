package dev.quire.bench;

import java.util.List;
import java.util.Map;

/** The runs of a workload at a level and their medians. */
record Measured(Summary summary, List<Figures> runs) {
    static Measured of(String workload, Level level, List<Figures> runs) {
        return new Measured(Summary.of(workload, level, runs), List.copyOf(runs));
    }

    /** By name, for JSON. */
    Map<String, Object> json() {
        return summary.json(runs);
    }
}
