package dev.quire.bench;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Results side by side; the first is what the others are compared to. */
record Comparison(List<String> labels, List<Line> lines) {
    private static final List<Metric> COMPARED = List.of(
            Metric.OUTPUT_RATE,
            Metric.TOTAL_RATE,
            Metric.REQUEST_RATE,
            Metric.TTFT_P50,
            Metric.TTFT_P95,
            Metric.ITL_P50,
            Metric.ITL_P95,
            Metric.TPOT_P50,
            Metric.E2E_P50,
            Metric.E2E_P95,
            Metric.GOODPUT_SHARE,
            Metric.PEAK_MEMORY);

    /** Which way a figure went. */
    enum Verdict {
        /** Better by more than the spread of the runs. */
        BETTER,
        /** Worse by more than the spread of the runs. */
        WORSE,
        /** Within the spread of the runs. */
        SAME
    }

    /**
     * One figure of one server.
     *
     * @param ratio to the first server; 1 for the first itself, 0 where the first has 0
     */
    record Cell(double median, double spread, double ratio, Verdict verdict) {}

    /** One figure of all servers, in the order of the labels. */
    record Line(String title, Metric metric, List<Cell> cells) {}

    /**
     * Compares the levels that all results have.
     *
     * @throws IllegalArgumentException when there is none
     */
    static Comparison of(List<Result> results) {
        List<Line> lines = new ArrayList<>();
        for (Summary base : results.getFirst().levels()) {
            List<Summary> same = new ArrayList<>();
            for (Result result : results) {
                result.level(base.title()).ifPresent(same::add);
            }
            if (same.size() == results.size()) {
                lines.addAll(lines(base, same));
            }
        }
        if (lines.isEmpty()) {
            throw new IllegalArgumentException("the results have no workload and level in common");
        }
        return new Comparison(results.stream().map(Result::label).toList(), lines);
    }

    private static List<Line> lines(Summary base, List<Summary> all) {
        return COMPARED.stream()
                .filter(metric ->
                        all.stream().allMatch(summary -> summary.median().containsKey(metric)))
                .map(metric -> new Line(
                        base.title(),
                        metric,
                        all.stream().map(summary -> cell(metric, base, summary)).toList()))
                .toList();
    }

    private static Cell cell(Metric metric, Summary base, Summary other) {
        double from = base.median(metric);
        double to = other.median(metric);
        double noise = Math.max(base.spread(metric) * from, other.spread(metric) * to);
        Verdict verdict = Math.abs(to - from) <= noise
                ? Verdict.SAME
                : to > from == metric.moreIsBetter() ? Verdict.BETTER : Verdict.WORSE;
        return new Cell(to, other.spread(metric), from == 0 ? 0 : to / from, verdict);
    }

    /** A table for a terminal, one block per workload and level. */
    String text() {
        Map<String, List<Line>> blocks = new LinkedHashMap<>();
        lines.forEach(line ->
                blocks.computeIfAbsent(line.title(), _ -> new ArrayList<>()).add(line));
        StringBuilder text = new StringBuilder();
        blocks.forEach((title, block) -> {
            text.append(title).append('\n').append(String.format("  %-16s", ""));
            labels.forEach(label -> text.append(String.format("%30s", label)));
            text.append('\n');
            block.forEach(line -> text.append(row(line)));
            text.append('\n');
        });
        return text.append("ratio to ")
                .append(labels.getFirst())
                .append("; ± half the spread of the runs; '=' means within that spread\n")
                .toString();
    }

    private static String row(Line line) {
        StringBuilder row =
                new StringBuilder(String.format("  %-16s", line.metric().title()));
        for (int i = 0; i < line.cells().size(); i++) {
            Cell cell = line.cells().get(i);
            String value = Metric.number(cell.median())
                    + (cell.spread() > 0 ? String.format(Locale.ROOT, " ±%.0f %%", 50 * cell.spread()) : "");
            row.append(String.format("%30s", i == 0 ? value : value + verdict(cell)));
        }
        return row.append('\n').toString();
    }

    private static String verdict(Cell cell) {
        String word = switch (cell.verdict()) {
            case BETTER -> "better";
            case WORSE -> "worse";
            case SAME -> "=";
        };
        return String.format(Locale.ROOT, "  %.2fx %-6s", cell.ratio(), word);
    }
}
