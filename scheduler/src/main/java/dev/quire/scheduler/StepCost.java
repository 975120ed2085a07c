package dev.quire.scheduler;

/**
 * What steps cost, as measured, and from that how many prompt tokens a step may take without making those who are
 * generating wait. A step of generated tokens alone is a broken line over the number of rows, each prompt token beside
 * them adds a price; both follow what is measured, without a bias to either side, because a guess too dear keeps
 * newcomers waiting as surely as one too cheap stretches the step. Numbers of rows are measured alone before prompts
 * join them, and again from time to time; and chunks grow by doubling, because what a larger one costs is not known
 * before it has run.
 */
final class StepCost {
    private static final int FIRST_CHUNK = 64;
    private static final int UNKNOWN = -1;
    /**
     * A gap between tokens that readers hardly notice. Steps may grow to it when half as many wait for their first token
     * as are generating, to a part of it when fewer do, and up to twice when more do than are generating: large steps let
     * all of them advance faster.
     */
    static final double PATIENCE_NANOS = 100e6;

    /** How often that gap, at most. */
    private static final double MOST_PATIENCE = 2;

    /** Steps after which a number of rows is measured again: few at first, at most so many. */
    private static final int MEASURE_FIRST = 2;

    private static final int MEASURE_EVERY = 64;
    /** No single step counts as more than so many times what was expected: one hiccup is not the rule. */
    private static final double HICCUP = 2;
    /** A price is at least this share of its step, or the clock is too coarse to tell. */
    private static final double LEAST_SHARE = 0.1;

    // Weights of the newest step in moving averages.
    private static final double PRICE = 0.25;
    private static final double PURE = 0.5;
    private static final double DEARER_IN_BULK = 0.02;
    /** What the largest chunk of late shrinks by in each step. */
    private static final double FORGET = 0.9;

    private final EngineConfig config;
    private final RowCost alone = new RowCost();
    private final long[] measureIn = new long[RowCost.KNOTS];
    private final int[] interval = new int[RowCost.KNOTS];
    private double promptNanos = UNKNOWN;
    private double besideNanos = UNKNOWN;
    private double bulkNanos = UNKNOWN;
    private double reach;
    private long steps;

    StepCost(EngineConfig config) {
        this.config = config;
    }

    /**
     * Learns from a step.
     *
     * @param singles rows that computed a generated token
     * @param prompt tokens in the other rows
     */
    void observe(int singles, int prompt, long nanos) {
        steps++;
        double each = (double) nanos / (singles + prompt);
        bulkNanos = bulkNanos == UNKNOWN || each < bulkNanos
                ? each
                : bulkNanos + DEARER_IN_BULK * (Math.min(each, HICCUP * bulkNanos) - bulkNanos);
        if (prompt == 0) {
            learnAlone(singles, (double) nanos);
        } else if (singles == 0) {
            promptNanos = promptNanos == UNKNOWN ? each : promptNanos + PURE * (each - promptNanos);
        } else {
            learnBeside(singles, prompt, (double) nanos);
        }
    }

    private void learnAlone(int singles, double nanos) {
        alone.learn(singles, alone.trusted(singles) ? Math.min(nanos, HICCUP * alone.nanos(singles)) : nanos);
        int knot = RowCost.nearest(singles);
        interval[knot] = Math.clamp(2L * interval[knot], MEASURE_FIRST, MEASURE_EVERY);
        measureIn[knot] = steps + interval[knot];
    }

    private void learnBeside(int singles, int prompt, double nanos) {
        if (alone.empty()) {
            return;
        }
        if (nanos < alone.nanos(singles)) {
            alone.learn(singles, nanos); // prompts do not make a step shorter
        }
        double price = Math.max(LEAST_SHARE * nanos, nanos - alone.nanos(singles)) / prompt;
        besideNanos = besideNanos == UNKNOWN
                ? price
                : besideNanos + PRICE * (Math.min(price, HICCUP * besideNanos) - besideNanos);
        reach = Math.max(prompt, FORGET * reach);
    }

    /**
     * Prompt tokens that a step may take; 0 when one without prompts must be measured first.
     *
     * @param singles rows of generated tokens in it
     * @param newcomers sequences whose first token waits for prompts to be computed
     * @param budget tokens that the step's limits leave
     */
    int chunk(int singles, int newcomers, int budget) {
        if (singles == 0) {
            return clamp(promptNanos == UNKNOWN ? FIRST_CHUNK : config.maxStepNanos() / promptNanos, budget);
        }
        if (!alone.trusted(singles) || steps >= measureIn[RowCost.nearest(singles)]) {
            return 0;
        }
        // Beside few rows the first tokens cost next to nothing, further ones as much as in bulk.
        double price = Math.max(besideNanos == UNKNOWN ? 2 * promptNanos : besideNanos, bulkNanos);
        if (price == 0) {
            return budget; // too short for the clock
        }
        double stretch = config.stepStretch() - 1;
        // As many tokens again as there are rows at most double a step, whatever the device.
        double tried = Math.max(2 * reach, stretch * singles);
        double waiting = (double) newcomers / singles;
        double patience = PATIENCE_NANOS * Math.clamp(waiting, Math.min(1, 2 * waiting), MOST_PATIENCE);
        double wanted = patience - alone.nanos(singles);
        return clamp(Math.min(tried, Math.max(stretch * alone.nanos(singles), wanted) / price), budget);
    }

    private static int clamp(double tokens, int budget) {
        return (int) Math.clamp(tokens, (double) Math.min(1, budget), (double) budget);
    }

    /** Nanoseconds that a step may be expected to take; 0 while that is not known. */
    long expected(int singles, int prompt) {
        if (singles > 0 && alone.empty()) {
            return 0;
        }
        double price = prompt == 0 ? 0 : Math.max(besideNanos, promptNanos);
        return price == UNKNOWN ? 0 : (long) ((singles == 0 ? 0 : alone.nanos(singles)) + prompt * price);
    }
}
