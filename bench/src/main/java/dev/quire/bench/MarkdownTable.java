package dev.quire.bench;

import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.stream.Collectors;

/** Servers side by side in Markdown; the first is ours, the others are its peers. */
final class MarkdownTable {
    private static final List<Metric> SHOWN = List.of(
            Metric.OUTPUT_RATE, Metric.TTFT_P50, Metric.ITL_P50, Metric.TPOT_P50, Metric.E2E_P95, Metric.PEAK_MEMORY);

    private MarkdownTable() {}

    static String of(List<Result> results) {
        StringBuilder text = new StringBuilder("| workload | figure |");
        results.forEach(result -> text.append(' ').append(result.label()).append(" |"));
        text.append(results.size() > 1 ? " to the best peer |\n|---|---|" : "\n|---|---|");
        text.append("---|".repeat(results.size() + (results.size() > 1 ? 1 : 0)))
                .append('\n');
        List<String> titles = results.stream()
                .flatMap(result -> result.levels().stream())
                .map(Summary::title)
                .distinct()
                .toList();
        for (String title : titles) {
            for (Metric metric : SHOWN) {
                if (results.stream()
                        .anyMatch(result -> value(result, title, metric).isPresent())) {
                    text.append(row(results, title, metric));
                }
            }
        }
        return text.toString();
    }

    private static String row(List<Result> results, String title, Metric metric) {
        String cells =
                results.stream().map(result -> cell(result, title, metric)).collect(Collectors.joining(" | "));
        String row = "| " + title + " | " + metric.title() + " | " + cells + " |";
        return row + (results.size() > 1 ? " " + ratio(results, title, metric) + " |\n" : "\n");
    }

    private static String cell(Result result, String title, Metric metric) {
        OptionalDouble value = value(result, title, metric);
        if (value.isEmpty()) {
            return "–";
        }
        Summary summary = result.level(title).orElseThrow();
        String failed =
                summary.failures() > 0 && metric == Metric.OUTPUT_RATE ? ", " + summary.failures() + " failed" : "";
        return Metric.number(value.getAsDouble())
                + String.format(Locale.ROOT, " ±%.0f %%", 50 * summary.spread(metric))
                + failed;
    }

    private static OptionalDouble value(Result result, String title, Metric metric) {
        return result.level(title)
                .filter(summary -> summary.median().containsKey(metric))
                .map(summary -> OptionalDouble.of(summary.median(metric)))
                .orElse(OptionalDouble.empty());
    }

    private static String ratio(List<Result> results, String title, Metric metric) {
        OptionalDouble ours = value(results.getFirst(), title, metric);
        double[] peers = results.stream()
                .skip(1)
                .map(result -> value(result, title, metric))
                .filter(OptionalDouble::isPresent)
                .mapToDouble(OptionalDouble::getAsDouble)
                .sorted()
                .toArray();
        if (ours.isEmpty() || peers.length == 0) {
            return "–";
        }
        double best = metric.moreIsBetter() ? peers[peers.length - 1] : peers[0];
        return best > 0 ? String.format(Locale.ROOT, "%.2f ×", ours.getAsDouble() / best) : "–";
    }
}
