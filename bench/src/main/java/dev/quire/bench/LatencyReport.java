package dev.quire.bench;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The figures of one run.
 *
 * @param concurrency requests kept running at once
 * @param failures requests that did not end as they should
 * @param seconds from the first request to the last answer
 * @param firstToken milliseconds from request to first text
 * @param betweenTokens milliseconds from one text to the next
 * @param whole milliseconds from request to last text
 */
record LatencyReport(
        int concurrency,
        int requests,
        int failures,
        double seconds,
        long promptTokens,
        long outputTokens,
        Percentiles firstToken,
        Percentiles betweenTokens,
        Percentiles whole) {
    /** Nearest-rank percentiles; all 0 when there is nothing to measure. */
    record Percentiles(double p50, double p95, double p99) {
        static Percentiles ofNanos(long[] nanos) {
            long[] sorted = nanos.clone();
            Arrays.sort(sorted);
            return new Percentiles(rank(sorted, 50), rank(sorted, 95), rank(sorted, 99));
        }

        private static double rank(long[] sorted, int percent) {
            if (sorted.length == 0) {
                return 0;
            }
            int index = (int) Math.ceil(percent / 100.0 * sorted.length) - 1;
            return sorted[Math.max(index, 0)] / 1e6;
        }

        private Map<String, Double> json() {
            Map<String, Double> map = new LinkedHashMap<>();
            map.put("p50", p50);
            map.put("p95", p95);
            map.put("p99", p99);
            return map;
        }
    }

    static LatencyReport of(int concurrency, int failures, long elapsedNanos, List<Sample> samples) {
        return new LatencyReport(
                concurrency,
                samples.size() + failures,
                failures,
                elapsedNanos / 1e9,
                samples.stream().mapToLong(Sample::promptTokens).sum(),
                samples.stream().mapToLong(Sample::outputTokens).sum(),
                Percentiles.ofNanos(
                        samples.stream().mapToLong(Sample::firstToken).toArray()),
                Percentiles.ofNanos(gaps(samples)),
                Percentiles.ofNanos(samples.stream().mapToLong(Sample::whole).toArray()));
    }

    private static long[] gaps(List<Sample> samples) {
        long[] gaps =
                new long[samples.stream().mapToInt(s -> s.arrivals().length - 1).sum()];
        int next = 0;
        for (Sample sample : samples) {
            for (int i = 1; i < sample.arrivals().length; i++) {
                gaps[next++] = sample.arrivals()[i] - sample.arrivals()[i - 1];
            }
        }
        return gaps;
    }

    double outputPerSecond() {
        return seconds > 0 ? outputTokens / seconds : 0;
    }

    double totalPerSecond() {
        return seconds > 0 ? (outputTokens + promptTokens) / seconds : 0;
    }

    /** The heading over {@link #row()}. */
    static String heading() {
        return """
                clients  requests  failed   output   in+out        TTFT ms                ITL ms                 E2E ms
                                            tok/s    tok/s    p50    p95    p99    p50    p95    p99     p50     p95     p99""";
    }

    /** The figures as a line of the table. */
    String row() {
        return String.format(
                Locale.ROOT,
                "%7d  %8d  %6d %8.1f %8.1f %6.0f %6.0f %6.0f %6.1f %6.1f %6.1f %7.0f %7.0f %7.0f",
                concurrency,
                requests,
                failures,
                outputPerSecond(),
                totalPerSecond(),
                firstToken.p50,
                firstToken.p95,
                firstToken.p99,
                betweenTokens.p50,
                betweenTokens.p95,
                betweenTokens.p99,
                whole.p50,
                whole.p95,
                whole.p99);
    }

    /** The figures by name, for JSON. */
    Map<String, Object> json() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("concurrency", concurrency);
        map.put("requests", requests);
        map.put("failures", failures);
        map.put("seconds", seconds);
        map.put("prompt_tokens", promptTokens);
        map.put("output_tokens", outputTokens);
        map.put("output_tokens_per_second", outputPerSecond());
        map.put("total_tokens_per_second", totalPerSecond());
        map.put("ttft_ms", firstToken.json());
        map.put("itl_ms", betweenTokens.json());
        map.put("e2e_ms", whole.json());
        return map;
    }
}
