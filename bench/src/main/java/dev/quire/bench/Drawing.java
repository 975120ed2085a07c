package dev.quire.bench;

import dev.quire.bench.plot.Panel;
import dev.quire.bench.plot.Plot;
import dev.quire.bench.plot.Series;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/** Results as plots. */
final class Drawing {
    private Drawing() {}

    /** One server: throughput and the percentiles of latency by level. */
    static String levels(Result result, String subtitle) {
        List<Summary> levels = result.levels();
        List<String> places = levels.stream().map(s -> s.level().toString()).toList();
        String workload = levels.isEmpty() ? "" : levels.getFirst().workload();
        List<Panel> panels = List.of(
                lines("Throughput", "tokens/s", places, levels, Metric.OUTPUT_RATE, Metric.TOTAL_RATE),
                lines("Time to first token", "ms", places, levels, Metric.TTFT_P50, Metric.TTFT_P95, Metric.TTFT_P99),
                lines("Time between chunks", "ms", places, levels, Metric.ITL_P50, Metric.ITL_P95, Metric.ITL_P99));
        return Plot.svg(result.label() + ": " + workload, subtitle, panels);
    }

    private static Panel lines(
            String title, String unit, List<String> places, List<Summary> levels, Metric... metrics) {
        List<Series> series = new ArrayList<>();
        for (Metric metric : metrics) {
            series.add(new Series(
                    metric.title(), levels.stream().map(s -> s.median(metric)).toList()));
        }
        return new Panel(title, unit, Panel.Style.LINES, places, series);
    }

    /** Several servers side by side, at every level that the first has. */
    static String servers(List<Result> results, String subtitle) {
        List<Panel> panels = List.of(
                bars("Output throughput (more is better)", "tokens/s", results, Metric.OUTPUT_RATE),
                bars("Time to first token, p50 (less is better)", "ms", results, Metric.TTFT_P50),
                bars("Time per token after the first, p50 (less is better)", "ms", results, Metric.TPOT_P50));
        return Plot.svg("Servers compared", subtitle, panels);
    }

    private static Panel bars(String title, String unit, List<Result> results, Metric metric) {
        List<Summary> levels = results.getFirst().levels();
        List<Series> series = results.stream()
                .map(result -> new Series(
                        result.label(),
                        levels.stream()
                                .map(level -> result.level(level.title())
                                        .map(s -> s.median(metric))
                                        .orElse(Double.NaN))
                                .toList()))
                .toList();
        return new Panel(
                title,
                unit,
                Panel.Style.BARS,
                levels.stream().map(Drawing::place).toList(),
                series);
    }

    private static String place(Summary summary) {
        return summary.workload() + " " + summary.level().number();
    }

    /** A place of a panel of batching modes, and its value in a run. */
    private record Place(String name, ToDoubleFunction<ModeRun> value) {}

    /** The batching modes side by side: medians of their runs. */
    static String modes(Map<String, List<ModeRun>> modes, String subtitle) {
        List<Panel> panels = List.of(
                bars("Throughput (more is better)", "tokens/s", modes, place(Metric.OUTPUT_RATE)),
                bars(
                        "Shares",
                        "%",
                        modes,
                        new Place(
                                "useful of the tokens computed",
                                r -> 100 * r.counters().usefulShare()),
                        new Place(
                                "wasted of the KV memory",
                                r -> 100 * r.counters().kvWaste())),
                bars("Times (less is better)", "ms", modes, place(Metric.TTFT_P50), place(Metric.E2E_P95)));
        return Plot.svg("Batching modes compared", subtitle, panels);
    }

    private static Place place(Metric metric) {
        return new Place(metric.title(), r -> r.value(metric));
    }

    private static Panel bars(String title, String unit, Map<String, List<ModeRun>> modes, Place... places) {
        List<Series> series = new ArrayList<>();
        modes.forEach((mode, runs) -> series.add(new Series(
                mode,
                Stream.of(places)
                        .map(place -> ModesTable.median(runs, place.value))
                        .toList())));
        return new Panel(
                title,
                unit,
                Panel.Style.BARS,
                Stream.of(places).map(Place::name).toList(),
                series);
    }

    /** What was measured where, in a line. */
    static String subtitle(Machine machine, String when) {
        return String.format(
                Locale.ROOT,
                "%s, %d cores (%s), %.0f GiB, %s",
                machine.cpu(),
                machine.cores(),
                String.join(" ", machine.isa()),
                machine.memoryBytes() / (double) (1 << 30),
                when);
    }
}
