package dev.quire.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Collectors;

/** Requests of known lengths. A workload and a seed always make the same lengths. */
enum Workload {
    /** Prompts log-normal around 160 tokens, answers of 128. */
    CHAT("chat", 4) {
        @Override
        Lengths next(SplittableRandom random) {
            double sigma = 0.6;
            double mu = Math.log(160) - sigma * sigma / 2; // so that the mean is 160
            double length = Math.exp(mu + sigma * random.nextGaussian());
            return new Lengths(0, (int) Math.round(Math.clamp(length, 8, 1024)), 128);
        }
    },
    /** Prompts of 16 to 768 tokens, answers of 16 to 256; each doubling is as likely as the next, so most are short. */
    RAGGED("ragged", 4) {
        @Override
        Lengths next(SplittableRandom random) {
            return new Lengths(0, logUniform(random, 16, 768), logUniform(random, 16, 256));
        }
    },
    /** Prompts of 1,500 tokens, answers of 32. */
    LONG_PROMPT("long-prompt", 4) {
        @Override
        Lengths next(SplittableRandom random) {
            return new Lengths(0, 1500, 32);
        }
    },
    /** A beginning of 1,000 tokens that all prompts share and 50 of their own, answers of 64. */
    SHARED_PREFIX("shared-prefix", 4) {
        @Override
        Lengths next(SplittableRandom random) {
            return new Lengths(1000, 50, 64);
        }
    },
    /** 64 prompts of 128 tokens at once, answers of 128. */
    OFFLINE("offline", 1) {
        @Override
        Lengths next(SplittableRandom random) {
            return new Lengths(0, 128, 128);
        }
    };

    private static final int LEAST_REQUESTS = 8;

    private final String label;
    private final int perClient;

    Workload(String label, int perClient) {
        this.label = label;
        this.perClient = perClient;
    }

    abstract Lengths next(SplittableRandom random);

    private static int logUniform(SplittableRandom random, int least, int most) {
        double length = least * Math.pow((double) most / least, random.nextDouble());
        return (int) Math.round(length);
    }

    /** The lengths of the first {@code count} requests of a seed. */
    List<Lengths> lengths(long seed, int count) {
        SplittableRandom random = new SplittableRandom(seed);
        List<Lengths> lengths = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            lengths.add(next(random));
        }
        return lengths;
    }

    /** The name on the command line. */
    String label() {
        return label;
    }

    /** Clients at once when nothing else is asked for. */
    List<Integer> concurrency() {
        return switch (this) {
            case CHAT -> List.of(1, 8, 32);
            case RAGGED -> List.of(16);
            case LONG_PROMPT -> List.of(1, 4);
            case SHARED_PREFIX -> List.of(8);
            case OFFLINE -> List.of(64);
        };
    }

    /** Requests in a closed loop of so many clients when nothing else is asked for. */
    int requests(int clients) {
        return Math.max(LEAST_REQUESTS, perClient * clients);
    }

    /**
     * The workload of that name.
     *
     * @throws IllegalArgumentException when there is none
     */
    static Workload named(String label) {
        for (Workload workload : values()) {
            if (workload.label.equals(label)) {
                return workload;
            }
        }
        throw new IllegalArgumentException(
                "workload is '" + label + "', allowed: " + labels() + " or a trace, FILE.jsonl");
    }

    static String labels() {
        return Arrays.stream(values()).map(Workload::label).collect(Collectors.joining(", "));
    }
}
