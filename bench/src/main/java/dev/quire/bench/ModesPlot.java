package dev.quire.bench;

import java.util.Formatter;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/** The batching modes as bars: an SVG of a few panels, each with a bar for each mode. */
final class ModesPlot {
    /** A panel of the plot. */
    private record Panel(String title, ToDoubleFunction<ModeRun> figure, String format) {}

    private static final List<Panel> PANELS = List.of(
            new Panel("output tokens/s", r -> r.value(Metric.OUTPUT_RATE), "%.0f"),
            new Panel("useful share of tokens, %", r -> 100 * r.counters().usefulShare(), "%.0f"),
            new Panel("KV memory wasted, %", r -> 100 * r.counters().kvWaste(), "%.1f"),
            new Panel("time to first token p50, ms", r -> r.value(Metric.TTFT_P50), "%.0f"),
            new Panel("whole request p95, ms", r -> r.value(Metric.E2E_P95), "%.0f"));

    private static final List<String> COLOURS = List.of("#b8b8b8", "#7fa6c9", "#1f5f99");
    private static final int BAR = 44;
    private static final int GAP = 14;
    private static final int PANEL = 220;
    private static final int HEIGHT = 180;
    private static final int TOP = 44;

    private ModesPlot() {}

    static String svg(Map<String, List<ModeRun>> modes) {
        int width = PANELS.size() * PANEL;
        int height = TOP + HEIGHT + 30;
        Formatter svg = new Formatter(Locale.ROOT);
        svg.format(
                "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' viewBox='0 0 %d %d'"
                        + " font-family='sans-serif' font-size='12' text-anchor='middle'>\n",
                width, height, width, height);
        svg.format("<rect width='100%%' height='100%%' fill='white'/>\n");
        for (int i = 0; i < PANELS.size(); i++) {
            panel(svg, PANELS.get(i), i * PANEL, modes);
        }
        return svg.format("</svg>\n").toString();
    }

    private static void panel(Formatter svg, Panel panel, int left, Map<String, List<ModeRun>> modes) {
        double most = modes.values().stream()
                .mapToDouble(runs -> ModesTable.median(runs, panel.figure))
                .max()
                .orElse(0);
        svg.format("<text x='%d' y='18' font-weight='bold'>%s</text>\n", left + PANEL / 2, panel.title);
        int bars = modes.size() * (BAR + GAP) - GAP;
        int x = left + (PANEL - bars) / 2;
        int index = 0;
        for (Map.Entry<String, List<ModeRun>> mode : modes.entrySet()) {
            double value = ModesTable.median(mode.getValue(), panel.figure);
            double height = most == 0 ? 0 : HEIGHT * value / most;
            double y = TOP + HEIGHT - height;
            String colour = COLOURS.get(index++ % COLOURS.size());
            svg.format("<rect x='%d' y='%.1f' width='%d' height='%.1f' fill='%s'/>\n", x, y, BAR, height, colour);
            int middle = x + BAR / 2;
            svg.format(
                    "<text x='%d' y='%.1f'>%s</text>\n",
                    middle, y - 4, String.format(Locale.ROOT, panel.format, value));
            svg.format("<text x='%d' y='%d' font-size='11'>%s</text>\n", middle, TOP + HEIGHT + 16, mode.getKey());
            x += BAR + GAP;
        }
    }
}
