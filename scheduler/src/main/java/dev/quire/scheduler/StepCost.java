package dev.quire.scheduler;

import java.util.Arrays;

/**
 * What steps cost, as measured, and from that how many prompt tokens a step may take without making those who are
 * generating wait. Moving averages; a step with generated tokens only is remembered by its size, and the price of a
 * prompt token apart for steps with and without generated ones, since small chunks are dearer.
 */
final class StepCost {
    private static final double WEIGHT = 0.25;
    private static final int SIZES = 16;
    private static final int FIRST_CHUNK = 512;
    private static final int UNKNOWN = -1;
    private static final int MEASURE_EVERY = 256;

    private final EngineConfig config;
    private final double[] alone = new double[SIZES];
    private double promptNanos = UNKNOWN;
    private double besideNanos = UNKNOWN;
    private int mixedSteps;

    StepCost(EngineConfig config) {
        this.config = config;
        Arrays.fill(alone, UNKNOWN);
    }

    /**
     * Learns from a step.
     *
     * @param singles rows of one token
     * @param prompt tokens in longer rows
     */
    void observe(int singles, int prompt, long nanos) {
        mixedSteps = prompt > 0 && singles > 0 ? mixedSteps + 1 : 0;
        if (prompt == 0) {
            int size = size(singles);
            alone[size] = mix(alone[size], nanos);
        } else if (singles == 0) {
            promptNanos = mix(promptNanos, (double) nanos / prompt);
        } else {
            double base = base(singles);
            if (base != UNKNOWN) {
                besideNanos = mix(besideNanos, Math.max(0.1 * nanos, nanos - base) / prompt);
            }
        }
    }

    /** Prompt tokens that a step with so many rows of one token may take; 0 when such a step must be measured alone. */
    int chunk(int singles, int budget) {
        if (singles == 0) {
            int most = promptNanos == UNKNOWN ? FIRST_CHUNK : most(budget, config.maxStepNanos(), promptNanos);
            return Math.min(budget, Math.max(config.minChunk(), most));
        }
        double base = alone[size(singles)];
        if (base == UNKNOWN || mixedSteps >= MEASURE_EVERY) {
            return 0; // a step without prompts now and then, or there is nothing to compare with
        }
        double price = besideNanos != UNKNOWN ? besideNanos : promptNanos != UNKNOWN ? 2 * promptNanos : UNKNOWN;
        if (price == UNKNOWN) {
            return Math.min(budget, config.minChunk());
        }
        int most = most(budget, (config.stepStretch() - 1) * base, price);
        return Math.min(budget, Math.max(config.minChunk(), most));
    }

    private static int most(int budget, double nanos, double price) {
        return price > 0 ? (int) Math.min(budget, nanos / price) : budget;
    }

    /** Nanoseconds that a step may be expected to take; 0 while nothing is known. */
    long expected(int singles, int prompt) {
        double base = singles == 0 ? 0 : Math.max(0, base(singles));
        double price = Math.max(0, Math.max(besideNanos, promptNanos));
        return (long) (base + prompt * price);
    }

    private double base(int singles) {
        int size = size(singles);
        for (int i = size; i >= 0; i--) {
            if (alone[i] != UNKNOWN) {
                return alone[i];
            }
        }
        for (int i = size + 1; i < SIZES; i++) {
            if (alone[i] != UNKNOWN) {
                return alone[i] / (1 << i - size);
            }
        }
        return UNKNOWN;
    }

    private static int size(int singles) {
        return Math.min(SIZES - 1, Integer.SIZE - Integer.numberOfLeadingZeros(singles - 1));
    }

    private static double mix(double before, double now) {
        return before == UNKNOWN ? now : before + WEIGHT * (now - before);
    }
}
