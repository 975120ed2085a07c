package dev.quire.scheduler;

/**
 * How far ahead sequences may guess.
 *
 * @param maxTokens guesses behind one row at most; 0 = never guess
 * @param longest tokens of the longest n-gram that is looked up
 * @param shortest tokens of the shortest
 */
public record Speculation(int maxTokens, int longest, int shortest) {
    /** No guesses. */
    public static final Speculation NONE = new Speculation(0, 4, 2);

    public Speculation {
        if (maxTokens < 0 || shortest < 1 || longest < shortest) {
            throw new IllegalArgumentException(
                    "maxTokens is " + maxTokens + ", n-grams have " + shortest + " to " + longest + " tokens");
        }
    }
}
