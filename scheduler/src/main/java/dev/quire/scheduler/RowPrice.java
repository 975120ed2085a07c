package dev.quire.scheduler;

/**
 * What one more row adds to a step without prompts: a straight line through the latest steps, by least squares. Where
 * they tell little, because all had the same number of rows, it leans on what is usual: to read the weights costs as
 * much as a few rows. So a price that was found too high is forgotten, and tried again. Engine thread.
 */
final class RowPrice {
    /** Rows that cost as much as reading the weights, when nothing is known. */
    private static final double WEIGHTS = 8;
    /** Weight of the usual price: squared rows by which steps must differ to outweigh it. */
    private static final double USUAL = 8;
    /** No price is believed to be less than this part of the usual one. */
    private static final double LEAST = 0.25;
    /** What is kept of former steps at each new one. */
    private static final double KEEP = 0.98;
    /** No single step counts as more than so many times what was expected. */
    private static final double HICCUP = 2;

    private double weight;
    private double rows;
    private double nanos;
    private double rowsSquared;
    private double rowsNanos;

    /** Learns from a step of so many rows, all of one token. */
    void observe(int count, long took) {
        double y = weight == 0 ? (double) took : Math.min((double) took, HICCUP * step(count));
        weight = KEEP * weight + 1;
        rows = KEEP * rows + count;
        nanos = KEEP * nanos + y;
        rowsSquared = KEEP * rowsSquared + (double) count * count;
        rowsNanos = KEEP * rowsNanos + count * y;
    }

    /** What a further row adds to a step of so many rows, as a part of what the step takes. */
    double share(int count) {
        double step = weight == 0 ? 0 : step(count);
        return step > 0 ? row() / step : 1 / (WEIGHTS + count);
    }

    private double step(int count) {
        return (nanos + row() * (weight * count - rows)) / weight;
    }

    private double row() {
        double mean = rows / weight;
        double usual = nanos / weight / (WEIGHTS + mean);
        double spread = rowsSquared - mean * rows;
        double slope = (rowsNanos - mean * nanos + USUAL * usual) / (spread + USUAL);
        return Math.clamp(slope, LEAST * usual, nanos / rows);
    }
}
