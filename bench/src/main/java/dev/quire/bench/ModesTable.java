package dev.quire.bench;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/** The batching modes side by side: medians of their runs, as Markdown. */
final class ModesTable {
    /** A line of the table. */
    private record Line(String title, ToDoubleFunction<ModeRun> figure, String format) {}

    private static final String COUNT = "%,.0f";
    private static final String RATE = "%.1f";
    private static final String PERCENT = "%.1f %%";

    private static final List<Line> LINES = List.of(
            metric("Output tokens/s", Metric.OUTPUT_RATE),
            metric("Input and output tokens/s", Metric.TOTAL_RATE),
            new Line("Tokens computed", r -> r.counters().computedTokens(), COUNT),
            new Line("of them padding", r -> r.counters().paddingTokens(), COUNT),
            new Line("Tokens in a step, mean", r -> r.counters().tokensPerStep(), RATE),
            new Line("Useful share of computed tokens", r -> 100 * r.counters().usefulShare(), PERCENT),
            new Line("Time with a step on the device", r -> 100 * r.stepShare(), PERCENT),
            new Line("Compute threads busy", r -> 100 * r.busyShare(), PERCENT),
            new Line(
                    "Busy with useful tokens",
                    r -> 100 * r.busyShare() * r.counters().usefulShare(),
                    PERCENT),
            new Line(
                    "KV memory allocated and not filled",
                    r -> 100 * r.counters().kvWaste(),
                    PERCENT),
            metric("TTFT p50, ms", Metric.TTFT_P50),
            metric("TTFT p95, ms", Metric.TTFT_P95),
            metric("TTFT p99, ms", Metric.TTFT_P99),
            metric("ITL p50, ms", Metric.ITL_P50),
            metric("ITL p95, ms", Metric.ITL_P95),
            metric("ITL p99, ms", Metric.ITL_P99),
            metric("E2E p50, ms", Metric.E2E_P50),
            metric("E2E p95, ms", Metric.E2E_P95),
            metric("E2E p99, ms", Metric.E2E_P99));

    private ModesTable() {}

    private static Line metric(String title, Metric metric) {
        return new Line(title, r -> r.value(metric), RATE);
    }

    /** A column for each mode. */
    static String markdown(Map<String, List<ModeRun>> modes) {
        StringBuilder text = new StringBuilder("| |");
        modes.keySet().forEach(mode -> text.append(' ').append(mode).append(" |"));
        text.append("\n|---|").append("---:|".repeat(modes.size())).append('\n');
        for (Line line : LINES) {
            text.append("| ").append(line.title).append(" |");
            for (List<ModeRun> runs : modes.values()) {
                text.append(' ')
                        .append(String.format(Locale.ROOT, line.format, median(runs, line.figure)))
                        .append(" |");
            }
            text.append('\n');
        }
        return text.toString();
    }

    static double median(List<ModeRun> runs, ToDoubleFunction<ModeRun> figure) {
        return Summary.median(runs.stream().mapToDouble(figure).toArray());
    }
}
