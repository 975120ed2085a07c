package dev.quire.bench.plot;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Panels below each other with one title, as an SVG with a light background. */
public final class Plot {
    private static final int WIDTH = 960;
    private static final int PANEL_HEIGHT = 300;
    private static final int TOP = 64;
    private static final int LEFT = 70;
    private static final int RIGHT = 20;
    private static final int ABOVE_AXES = 56; // title and legend of a panel
    private static final int BELOW_AXES = 42;
    private static final String INK = "#222222";
    private static final String FAINT = "#666666";
    private static final String GRID = "#e4e4e4";
    // Told apart by most eyes: the palette of Okabe and Ito.
    private static final List<String> COLOURS =
            List.of("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a");

    private final Svg svg;

    private Plot(int panels) {
        svg = new Svg(WIDTH, TOP + panels * PANEL_HEIGHT);
    }

    /** Draws; the subtitle says on what machine and when. */
    public static String svg(String title, String subtitle, List<Panel> panels) {
        Plot plot = new Plot(panels.size());
        plot.svg.text(LEFT, 28, 18, Svg.Anchor.START, INK, title);
        plot.svg.text(LEFT, 48, 12, Svg.Anchor.START, FAINT, subtitle);
        for (int i = 0; i < panels.size(); i++) {
            plot.panel(panels.get(i), TOP + i * PANEL_HEIGHT);
        }
        return plot.svg.end();
    }

    /** The step between lines of the grid: 1, 2 or 5 times a power of ten, four to ten of them below {@code largest}. */
    static double step(double largest) {
        if (!(largest > 0)) {
            return 1;
        }
        double power = Math.pow(10, Math.floor(Math.log10(largest)));
        double share = largest / power; // 1 to 10
        return power * (share < 2 ? 0.2 : share < 5 ? 0.5 : 1);
    }

    /** Where the axes of a panel lie, and how values become pixels. */
    private record Axes(double top, double bottom, double most, int places) {
        double x(double place) {
            return LEFT + (place + 0.5) * width();
        }

        double width() {
            return (double) (WIDTH - LEFT - RIGHT) / places;
        }

        double y(double value) {
            return bottom - (bottom - top) * value / most;
        }
    }

    private void panel(Panel panel, double top) {
        double step = step(panel.largest());
        double most = step * Math.max(1, Math.ceil(panel.largest() * 1.05 / step));
        Axes axes = new Axes(
                top + ABOVE_AXES,
                top + PANEL_HEIGHT - BELOW_AXES,
                most,
                Math.max(1, panel.places().size()));
        svg.text(LEFT, top + 20, 14, Svg.Anchor.START, INK, panel.title());
        legend(panel, top + 40);
        grid(panel, axes, step);
        for (int i = 0; i < panel.series().size(); i++) {
            switch (panel.style()) {
                case LINES -> curve(panel.series().get(i), axes, colour(i));
                case BARS -> bars(panel, i, axes);
            }
        }
        svg.line(LEFT, axes.bottom(), WIDTH - RIGHT, axes.bottom(), INK);
    }

    private static String colour(int series) {
        return COLOURS.get(series % COLOURS.size());
    }

    private void legend(Panel panel, double y) {
        double x = LEFT;
        for (int i = 0; i < panel.series().size(); i++) {
            String name = panel.series().get(i).name();
            svg.rectangle(x, y - 9, 12, 10, colour(i));
            svg.text(x + 17, y, 12, Svg.Anchor.START, INK, name);
            x += 17 + 7 * name.length() + 20;
        }
    }

    private void grid(Panel panel, Axes axes, double step) {
        for (int i = 0; i * step <= axes.most() * 1.0001; i++) {
            double y = axes.y(i * step);
            svg.line(LEFT, y, WIDTH - RIGHT, y, GRID);
            svg.text(LEFT - 6, y + 4, 11, Svg.Anchor.END, FAINT, number(i * step));
        }
        svg.textUpwards(18, (axes.top() + axes.bottom()) / 2, 12, FAINT, panel.unit());
        for (int place = 0; place < panel.places().size(); place++) {
            svg.text(
                    axes.x(place),
                    axes.bottom() + 17,
                    12,
                    Svg.Anchor.MIDDLE,
                    INK,
                    panel.places().get(place));
        }
    }

    private void curve(Series series, Axes axes, String colour) {
        List<double[]> points = new ArrayList<>();
        for (int place = 0; place < series.values().size(); place++) {
            double value = series.values().get(place);
            if (Double.isFinite(value)) {
                points.add(new double[] {axes.x(place), axes.y(value)});
            }
        }
        svg.curve(points, colour);
    }

    private void bars(Panel panel, int index, Axes axes) {
        int count = panel.series().size();
        double width = axes.width() * 0.8 / count;
        Series series = panel.series().get(index);
        for (int place = 0; place < series.values().size(); place++) {
            double value = series.values().get(place);
            if (Double.isFinite(value)) {
                double x = axes.x(place) + (index - count / 2.0) * width;
                svg.rectangle(x, axes.y(value), width * 0.92, axes.bottom() - axes.y(value), colour(index));
                svg.text(x + width * 0.46, axes.y(value) - 3, 9, Svg.Anchor.MIDDLE, INK, number(value));
            }
        }
    }

    private static String number(double value) {
        if (value != 0 && value < 10 && value != Math.rint(value)) {
            return String.format(Locale.ROOT, value < 1 ? "%.2f" : "%.1f", value);
        }
        return String.format(Locale.ROOT, "%.0f", value);
    }
}
