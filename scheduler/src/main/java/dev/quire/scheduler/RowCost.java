package dev.quire.scheduler;

/**
 * What a step of so many rows takes, as a broken line with its knots at the powers of two. A measurement between two
 * knots moves both, each by its share.
 */
final class RowCost {
    /** Powers of two up to 2^20 rows. */
    static final int KNOTS = 21;
    /** Measurements that make a knot known well: the first after a start are slow. */
    private static final int TRUSTED = 3;
    /** A knot with less than this share of a measurement has no part in it. */
    private static final double LEAST_SHARE = 0.25;

    // Weights of the newest measurement: a step may be slow for many reasons, but not fast.
    private static final double SLOWER = 0.25;
    private static final double FASTER = 0.5;
    /** Below this share of what was expected the measurement is believed at once. */
    private static final double MUCH_FASTER = 0.75;

    private final double[] nanos = new double[KNOTS];
    private final int[] seen = new int[KNOTS];

    /** Learns what {@code rows > 0} rows took. */
    void learn(int rows, double measured) {
        double at = position(rows);
        int below = (int) at;
        double share = at - below;
        double error = measured - nanos(rows);
        double weight = error > 0 ? SLOWER : measured < MUCH_FASTER * nanos(rows) ? 1 : FASTER;
        double move = weight * error / ((1 - share) * (1 - share) + share * share);
        learn(below, 1 - share, move, measured);
        if (share > 0) {
            learn(below + 1, share, move, measured);
        }
    }

    private void learn(int knot, double share, double move, double measured) {
        nanos[knot] = seen[knot] == 0 ? measured : Math.max(1, nanos[knot] + share * move);
        seen[knot] = Math.min(TRUSTED, seen[knot] + 1);
    }

    /** Whether anything has been measured. */
    boolean empty() {
        for (int count : seen) {
            if (count > 0) {
                return false;
            }
        }
        return true;
    }

    /** Whether so many rows have been measured often enough. */
    boolean trusted(int rows) {
        double at = position(rows);
        int below = (int) at;
        return seen[below] == TRUSTED && (at == below || seen[below + 1] == TRUSTED);
    }

    /** Nanoseconds that so many rows take, or at least, where they have not been measured; 0 when nothing has. */
    double nanos(int rows) {
        double at = position(rows);
        int below = (int) at;
        double share = at - below;
        return share == 0 ? knot(below) : (1 - share) * knot(below) + share * knot(below + 1);
    }

    /** More rows never take less, and fewer never less than their share. */
    private double knot(int knot) {
        if (seen[knot] > 0) {
            return nanos[knot];
        }
        double least = 0;
        for (int i = 0; i < KNOTS; i++) {
            if (seen[i] > 0) {
                least = Math.max(least, i < knot ? nanos[i] : nanos[i] / (1L << (i - knot)));
            }
        }
        return least;
    }

    /** The knot at or below a number of rows, and how far it is on the way to the next one. */
    private static double position(int rows) {
        int below = Integer.SIZE - 1 - Integer.numberOfLeadingZeros(rows);
        if (below >= KNOTS - 1) {
            return KNOTS - 1;
        }
        double share = (double) rows / (1 << below) - 1;
        return below + (share < LEAST_SHARE ? 0 : share > 1 - LEAST_SHARE ? 1 : share);
    }

    /** The knot next to a number of rows. */
    static int nearest(int rows) {
        return (int) Math.round(position(rows));
    }
}
