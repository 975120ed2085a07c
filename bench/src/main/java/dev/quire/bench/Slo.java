package dev.quire.bench;

/**
 * What a request must keep to count as good.
 *
 * @param ttftMs most milliseconds to the first chunk
 * @param itlMs most milliseconds per token afterwards, as a mean of the request
 */
record Slo(double ttftMs, double itlMs) {
    /** Asks for nothing. */
    static final Slo NONE = new Slo(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY);

    boolean isNone() {
        return equals(NONE);
    }

    boolean keptBy(Sample sample) {
        return sample.firstToken() <= ttftMs * 1e6 && sample.perToken() <= itlMs * 1e6;
    }
}
