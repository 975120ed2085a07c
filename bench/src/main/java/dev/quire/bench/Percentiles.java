package dev.quire.bench;

import java.util.Arrays;

/** Nearest-rank percentiles in milliseconds. */
record Percentiles(double p50, double p95, double p99) {
    /** Of at least one number. */
    static Percentiles ofNanos(double[] nanos) {
        double[] sorted = nanos.clone();
        Arrays.sort(sorted);
        return new Percentiles(rank(sorted, 50), rank(sorted, 95), rank(sorted, 99));
    }

    private static double rank(double[] sorted, int percent) {
        int index = (int) Math.ceil(percent / 100.0 * sorted.length) - 1;
        return sorted[index] / 1e6;
    }
}
