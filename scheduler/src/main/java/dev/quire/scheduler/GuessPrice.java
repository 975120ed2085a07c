package dev.quire.scheduler;

/**
 * What one more guess adds to a step without prompts: by least squares over the latest steps, what they took as a sum of
 * a part for reading the weights, one for each sequence and one for each guess. A guess is cheaper than a sequence: the
 * keys and values that it looks at are read for its sequence anyway. Where steps tell little, because they were all
 * alike, both parts lean on what is usual: to read the weights costs as much as a few guesses, a sequence somewhat more
 * than one. So a price that was found too high is forgotten, and tried again. Engine thread.
 */
final class GuessPrice {
    /** Guesses that cost as much as reading the weights, when nothing is known. */
    private static final double WEIGHTS = 8;
    /** Guesses that cost as much as a sequence, when nothing is known. */
    private static final double SEQUENCE = 1.4;
    /** Weight of the usual price: squared rows by which steps must differ to outweigh it. */
    private static final double USUAL = 8;
    /** No price is believed to be less than this part of the usual one. */
    private static final double LEAST = 0.25;
    /** What is kept of former steps at each new one. */
    private static final double KEEP = 0.98;
    /** No single step counts as more than so many times what was expected. */
    private static final double HICCUP = 2;

    // Sums over steps, the latest in full: s sequences, g guesses, t nanoseconds.
    private double n;
    private double s;
    private double g;
    private double t;
    private double ss;
    private double gg;
    private double sg;
    private double st;
    private double gt;

    /** Learns from a step in which so many sequences computed their next token, and guesses behind it. */
    void observe(int sequences, int guesses, long nanos) {
        double took = n == 0 ? (double) nanos : Math.min((double) nanos, HICCUP * step(sequences, guesses));
        n = KEEP * n + 1;
        s = KEEP * s + sequences;
        g = KEEP * g + guesses;
        t = KEEP * t + took;
        ss = KEEP * ss + (double) sequences * sequences;
        gg = KEEP * gg + (double) guesses * guesses;
        sg = KEEP * sg + (double) sequences * guesses;
        st = KEEP * st + sequences * took;
        gt = KEEP * gt + guesses * took;
    }

    /** What a guess adds to a step of so many sequences, as a part of what the step takes without guesses. */
    double share(int sequences) {
        double step = n == 0 ? 0 : step(sequences, 0);
        return step > 0 ? guess() / step : 1 / (WEIGHTS + SEQUENCE * sequences);
    }

    private double step(int sequences, int guesses) {
        return (t + sequence() * (n * sequences - s) + guess() * (n * guesses - g)) / n;
    }

    private double sequence() {
        double usual = SEQUENCE * usual();
        return believable(
                ofGuesses() * (ofTime(st, s) + USUAL * usual) - between() * (ofTime(gt, g) + USUAL * usual()), usual);
    }

    private double guess() {
        double usual = usual();
        return believable(
                ofSequences() * (ofTime(gt, g) + USUAL * usual)
                        - between() * (ofTime(st, s) + USUAL * SEQUENCE * usual),
                usual);
    }

    private double believable(double numerator, double usual) {
        double price = numerator / (ofSequences() * ofGuesses() - between() * between());
        return Math.clamp(price, LEAST * usual, t / (s + g));
    }

    /** The usual price of a guess. */
    private double usual() {
        return t / (WEIGHTS * n + SEQUENCE * s + g);
    }

    private double ofSequences() {
        return ss - s * s / n + USUAL;
    }

    private double ofGuesses() {
        return gg - g * g / n + USUAL;
    }

    private double between() {
        return sg - s * g / n;
    }

    private double ofTime(double product, double sum) {
        return product - sum * t / n;
    }
}
