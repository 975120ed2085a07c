package dev.quire.bench;

import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/**
 * What one run measured. Failed requests are counted and are in no other figure.
 *
 * @param requests that ended, failed ones included
 * @param seconds from the first request to the end of the last
 * @param promptTokens as the server counted
 * @param chunks pieces in which the answers came
 * @param clientCpuSeconds processor time of the bench itself
 * @param values goodput only where a service level was asked for, memory only of servers that the bench started
 */
record Figures(
        int requests,
        int failures,
        double seconds,
        long promptTokens,
        long outputTokens,
        long chunks,
        double clientCpuSeconds,
        Map<Metric, Double> values) {
    static Figures of(LoadLoop.Outcome outcome, double clientCpuSeconds, Slo slo) {
        List<Sample> samples = outcome.samples();
        double seconds = outcome.nanos() / 1e9;
        long prompt = samples.stream().mapToLong(Sample::promptTokens).sum();
        long output = samples.stream().mapToLong(Sample::outputTokens).sum();
        Map<Metric, Double> values = new EnumMap<>(Metric.class);
        values.put(Metric.OUTPUT_RATE, output / seconds);
        values.put(Metric.TOTAL_RATE, (prompt + output) / seconds);
        values.put(Metric.REQUEST_RATE, samples.size() / seconds);
        put(values, samples, Sample::firstToken, Metric.TTFT_P50, Metric.TTFT_P95, Metric.TTFT_P99);
        put(values, gaps(samples), Metric.ITL_P50, Metric.ITL_P95, Metric.ITL_P99);
        List<Sample> longer = samples.stream().filter(s -> s.outputTokens() > 1).toList();
        put(values, longer, Sample::perToken, Metric.TPOT_P50, Metric.TPOT_P95, Metric.TPOT_P99);
        put(values, samples, Sample::whole, Metric.E2E_P50, Metric.E2E_P95, Metric.E2E_P99);
        int requests = samples.size() + outcome.failures().size();
        if (!slo.isNone()) {
            long good = samples.stream().filter(slo::keptBy).count();
            values.put(Metric.GOODPUT_SHARE, requests == 0 ? 0 : (double) good / requests);
            values.put(Metric.GOODPUT_RATE, good / seconds);
        }
        return new Figures(
                requests,
                outcome.failures().size(),
                seconds,
                prompt,
                output,
                samples.stream().mapToLong(s -> s.arrivals().length).sum(),
                clientCpuSeconds,
                values);
    }

    private static void put(
            Map<Metric, Double> values,
            List<Sample> samples,
            ToDoubleFunction<Sample> nanos,
            Metric p50,
            Metric p95,
            Metric p99) {
        put(values, samples.stream().mapToDouble(nanos).toArray(), p50, p95, p99);
    }

    /** Where nothing was measured there is no figure: 0 would be the best of all. */
    private static void put(Map<Metric, Double> values, double[] nanos, Metric p50, Metric p95, Metric p99) {
        if (nanos.length > 0) {
            Percentiles from = Percentiles.ofNanos(nanos);
            values.put(p50, from.p50());
            values.put(p95, from.p95());
            values.put(p99, from.p99());
        }
    }

    private static double[] gaps(List<Sample> samples) {
        double[] gaps = new double
                [samples.stream().mapToInt(s -> s.arrivals().length - 1).sum()];
        int next = 0;
        for (Sample sample : samples) {
            for (int i = 1; i < sample.arrivals().length; i++) {
                gaps[next++] = sample.arrivals()[i] - sample.arrivals()[i - 1];
            }
        }
        return gaps;
    }

    /** The same with one figure more. */
    Figures with(Metric metric, double value) {
        Map<Metric, Double> more = new EnumMap<>(values);
        more.put(metric, value);
        return new Figures(requests, failures, seconds, promptTokens, outputTokens, chunks, clientCpuSeconds, more);
    }

    /** By name, for JSON. */
    Map<String, Object> json() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("requests", requests);
        map.put("failures", failures);
        map.put("seconds", seconds);
        map.put("prompt_tokens", promptTokens);
        map.put("output_tokens", outputTokens);
        map.put("chunks", chunks);
        map.put("client_cpu_seconds", clientCpuSeconds);
        values.forEach((metric, value) -> map.put(metric.key(), value));
        return map;
    }
}
