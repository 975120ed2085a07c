package dev.quire.scheduler;

/**
 * What steps cost, as measured, and from that how many prompt tokens a step may take without making those who are
 * generating wait. Every guess errs on the side of those who generate: generated tokens alone count as about as fast as
 * they have been lately, a prompt token beside them as about as dear; a number of rows is measured alone before prompts
 * join it, and again from time to time; and chunks grow by doubling, because what a larger one costs is not known before
 * it has run.
 */
final class StepCost {
    /** Numbers of rows up to this one are measured each by itself, larger ones four to an octave. */
    private static final int EXACT = 16;

    private static final int CLASSES = EXACT + 1 + 4 * 16;
    private static final int FIRST_CHUNK = 64;
    private static final int UNKNOWN = -1;
    /** Steps without prompts that make a number of rows known: the first after a start are slow. */
    private static final int TRUSTED = 3;
    /** Steps after which a number of rows is measured again: few at first, at most so many. */
    private static final int MEASURE_FIRST = 2;

    private static final int MEASURE_EVERY = 64;
    /** No single step counts as more than so many times what was expected: one hiccup is not the rule. */
    private static final double HICCUP = 2;

    // Weights of the newest step in moving averages.
    private static final double SLOWER = 0.25;
    private static final double CHEAPER = 0.2;
    private static final double PURE = 0.5;
    private static final double DEARER_IN_BULK = 0.02;
    /** What the largest chunk of late shrinks by in each step. */
    private static final double FORGET = 0.9;

    private final EngineConfig config;
    private final double[] alone = new double[CLASSES];
    private final int[] seen = new int[CLASSES];
    private final long[] measureIn = new long[CLASSES];
    private final int[] interval = new int[CLASSES];
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
            learnAlone(size(singles), (double) nanos);
        } else if (singles == 0) {
            promptNanos = promptNanos == UNKNOWN ? each : promptNanos + PURE * (each - promptNanos);
        } else {
            learnBeside(singles, prompt, (double) nanos);
        }
    }

    private void learnAlone(int size, double nanos) {
        if (seen[size] == 0 || nanos < alone[size]) {
            alone[size] = nanos; // a step may be slow for many reasons, but not fast
        } else {
            alone[size] += SLOWER * (Math.min(nanos, HICCUP * alone[size]) - alone[size]);
        }
        seen[size] = Math.min(TRUSTED, seen[size] + 1);
        interval[size] = Math.clamp(2L * interval[size], MEASURE_FIRST, MEASURE_EVERY);
        measureIn[size] = steps + interval[size];
    }

    private void learnBeside(int singles, int prompt, double nanos) {
        double base = base(singles);
        if (base == UNKNOWN) {
            return;
        }
        int size = size(singles);
        alone[size] = Math.min(alone[size], nanos);
        double price = Math.max(0.1 * nanos, nanos - base) / prompt;
        if (besideNanos == UNKNOWN) {
            besideNanos = price;
        } else if (price > besideNanos) {
            besideNanos = Math.min(price, HICCUP * besideNanos);
        } else {
            besideNanos += CHEAPER * (price - besideNanos);
        }
        reach = Math.max(prompt, FORGET * reach);
    }

    /**
     * Prompt tokens that a step may take; 0 when one without prompts must be measured first.
     *
     * @param singles rows of generated tokens in it
     * @param budget tokens that the step's limits leave
     */
    int chunk(int singles, int budget) {
        if (singles == 0) {
            return clamp(promptNanos == UNKNOWN ? FIRST_CHUNK : config.maxStepNanos() / promptNanos, budget);
        }
        int size = size(singles);
        if (seen[size] < TRUSTED || steps >= measureIn[size]) {
            return 0;
        }
        // Beside few rows the first tokens cost next to nothing, further ones as much as in bulk.
        double price = Math.max(besideNanos == UNKNOWN ? 2 * promptNanos : besideNanos, bulkNanos);
        if (price == 0) {
            return budget; // too short for the clock
        }
        double stretch = config.stepStretch() - 1;
        // As many tokens again as there are rows at most double a step, whatever the device.
        double known = Math.max(2 * reach, stretch * singles);
        return clamp(Math.min(known, stretch * alone[size] / price), budget);
    }

    private static int clamp(double tokens, int budget) {
        return (int) Math.clamp(tokens, (double) Math.min(1, budget), (double) budget);
    }

    /** Nanoseconds that a step may be expected to take; 0 while that is not known. */
    long expected(int singles, int prompt) {
        double base = singles == 0 ? 0 : base(singles);
        double price = prompt == 0 ? 0 : Math.max(besideNanos, promptNanos);
        return base == UNKNOWN || price == UNKNOWN ? 0 : (long) (base + prompt * price);
    }

    /** What so many rows take alone, or at least: more rows never take less, and fewer never less than their share. */
    private double base(int singles) {
        int size = size(singles);
        if (seen[size] > 0) {
            return alone[size];
        }
        double least = UNKNOWN;
        for (int i = 1; i < CLASSES; i++) {
            if (seen[i] > 0) {
                least = Math.max(least, i < size ? alone[i] : alone[i] * rows(size) / rows(i));
            }
        }
        return least;
    }

    /** The class of a number of rows. */
    private static int size(int rows) {
        if (rows <= EXACT) {
            return rows;
        }
        int octave = Integer.SIZE - 1 - Integer.numberOfLeadingZeros(rows - 1);
        int quarter = (rows - 1 - (1 << octave)) >>> (octave - 2);
        return Math.min(CLASSES - 1, EXACT + 1 + 4 * (octave - 4) + quarter);
    }

    /** The most rows in a class. */
    private static int rows(int size) {
        if (size <= EXACT) {
            return size;
        }
        int octave = 4 + (size - EXACT - 1) / 4;
        return (1 << octave) + (((size - EXACT - 1) % 4 + 1) << (octave - 2));
    }
}
