package dev.quire.bench;

import java.util.List;
import java.util.Locale;

/** Figures as lines for a terminal. */
final class FigureTable {
    private static final List<Metric> SHOWN = List.of(
            Metric.OUTPUT_RATE,
            Metric.TOTAL_RATE,
            Metric.REQUEST_RATE,
            Metric.TTFT_P50,
            Metric.TTFT_P95,
            Metric.TTFT_P99,
            Metric.ITL_P50,
            Metric.ITL_P95,
            Metric.ITL_P99,
            Metric.TPOT_P50,
            Metric.E2E_P50,
            Metric.E2E_P95,
            Metric.E2E_P99);

    private FigureTable() {}

    /** Two lines over {@link #row}. */
    static String heading() {
        StringBuilder groups = new StringBuilder(String.format("%-18s %4s %4s", "", "reqs", "fail"));
        StringBuilder units = new StringBuilder(String.format("%-18s %4s %4s", "", "", ""));
        for (Metric metric : SHOWN) {
            String[] words = metric.title().split(" ", 2);
            groups.append(' ').append(padded(metric, words[0]));
            units.append(' ').append(padded(metric, words[1]));
        }
        return groups + "\n" + units;
    }

    private static String padded(Metric metric, String text) {
        return String.format("%" + (metric.moreIsBetter() ? 10 : 6) + "s", text);
    }

    /** Medians of a level; the spread of output tokens per second when there are several runs, and goodput. */
    static String row(Summary summary, List<Figures> runs) {
        StringBuilder row = new StringBuilder(String.format(
                Locale.ROOT,
                "%-18s %4d %4d",
                summary.level(),
                runs.stream().mapToInt(Figures::requests).sum(),
                summary.failures()));
        for (Metric metric : SHOWN) {
            row.append(' ').append(padded(metric, Metric.number(summary.median(metric))));
        }
        if (runs.size() > 1) {
            row.append(String.format(Locale.ROOT, "   ±%.1f %%", 50 * summary.spread(Metric.OUTPUT_RATE)));
        }
        if (summary.median().containsKey(Metric.GOODPUT_SHARE)) {
            row.append(String.format(
                    Locale.ROOT,
                    "   good %.1f %%, %s/s",
                    100 * summary.median(Metric.GOODPUT_SHARE),
                    Metric.number(summary.median(Metric.GOODPUT_RATE))));
        }
        return row.toString();
    }

    /** What holds for all runs. */
    static String footer(List<Figures> runs) {
        StringBuilder text = new StringBuilder("ITL: gap between chunks; TPOT: mean time per token of a request.");
        long chunks = runs.stream().mapToLong(Figures::chunks).sum();
        double cpu = runs.stream().mapToDouble(Figures::clientCpuSeconds).sum();
        text.append(String.format(
                Locale.ROOT,
                "%nclient: %.2f s of CPU for %d chunks, %.1f ms per 1,000",
                cpu,
                chunks,
                chunks == 0 ? 0 : cpu * 1e6 / chunks));
        return text.toString();
    }
}
