package dev.quire.bench.plot;

import java.util.List;

/**
 * One pair of axes. The vertical one begins at 0.
 *
 * @param unit what the vertical axis counts
 * @param places names of the places on the horizontal axis
 * @param series one value for each place
 */
public record Panel(String title, String unit, Style style, List<String> places, List<Series> series) {
    /** How values are drawn. */
    public enum Style {
        /** A line with dots. */
        LINES,
        /** A bar for each series at each place, with its value. */
        BARS
    }

    /** @throws IllegalArgumentException when a series has not one value for each place */
    public Panel {
        for (Series one : series) {
            if (one.values().size() != places.size()) {
                throw new IllegalArgumentException(
                        one.name() + " has " + one.values().size() + " values for " + places.size() + " places");
            }
        }
    }

    double largest() {
        return series.stream()
                .flatMap(one -> one.values().stream())
                .mapToDouble(Double::doubleValue)
                .filter(Double::isFinite)
                .max()
                .orElse(0);
    }
}
