package dev.quire.bench;

import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Requests of a known shape. The n-th request of a workload and seed is always the same; prompts are token ids and
 * {@code ignore_eos} is set, so that lengths are exact.
 */
enum Workload {
    /** Short questions, answers of a paragraph. */
    CHAT("chat", 0, 24, 200, 32, 128),
    /** Everything from a word to a page, both ways. */
    RAGGED("ragged", 0, 8, 900, 8, 200),
    /** Long prompts, short answers. */
    LONG_PROMPT("long-prompt", 0, 1800, 2200, 16, 32),
    /** One long beginning that all requests share. */
    SHARED_PREFIX("shared-prefix", 640, 16, 64, 32, 64);

    // Ordinary tokens in every vocabulary of today; special tokens lie below or above.
    private static final int FIRST_TOKEN = 1000;
    private static final int LAST_TOKEN = 30000;

    /** One request: exact lengths. */
    record Shape(int[] prompt, int outputTokens) {
        /** The body for {@code /v1/completions}. */
        String json(String model) {
            String ids = IntStream.of(prompt).mapToObj(Integer::toString).collect(Collectors.joining(","));
            return "{\"model\":" + Json.quote(model) + ",\"prompt\":[" + ids + "],\"max_tokens\":" + outputTokens
                    + ",\"ignore_eos\":true,\"temperature\":0,\"stream\":true,"
                    + "\"stream_options\":{\"include_usage\":true}}";
        }
    }

    private final String label;
    private final int sharedTokens;
    private final int leastPrompt;
    private final int mostPrompt;
    private final int leastOutput;
    private final int mostOutput;

    Workload(String label, int sharedTokens, int leastPrompt, int mostPrompt, int leastOutput, int mostOutput) {
        this.label = label;
        this.sharedTokens = sharedTokens;
        this.leastPrompt = leastPrompt;
        this.mostPrompt = mostPrompt;
        this.leastOutput = leastOutput;
        this.mostOutput = mostOutput;
    }

    /** The request with this number. */
    Shape request(long seed, int number) {
        SplittableRandom shared = new SplittableRandom(seed);
        SplittableRandom own = new SplittableRandom(seed * 0x9E3779B97F4A7C15L + number + 1);
        int ownTokens = own.nextInt(leastPrompt, mostPrompt + 1);
        int outputTokens = own.nextInt(leastOutput, mostOutput + 1);
        int[] prompt = new int[sharedTokens + ownTokens];
        for (int i = 0; i < prompt.length; i++) {
            prompt[i] = (i < sharedTokens ? shared : own).nextInt(FIRST_TOKEN, LAST_TOKEN);
        }
        return new Shape(prompt, outputTokens);
    }

    /** The name on the command line. */
    String label() {
        return label;
    }

    static Workload named(String label) {
        for (Workload workload : values()) {
            if (workload.label.equals(label)) {
                return workload;
            }
        }
        throw new IllegalArgumentException("workload is '" + label + "', allowed: " + labels());
    }

    static String labels() {
        return IntStream.range(0, values().length)
                .mapToObj(i -> values()[i].label)
                .collect(Collectors.joining(", "));
    }
}
