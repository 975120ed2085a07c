package dev.quire.bench;

/**
 * What one request measured; times in nanoseconds of one clock.
 *
 * @param started when the request was sent
 * @param arrivals when each chunk came
 * @param promptTokens as the server counted
 * @param outputTokens as the server counted
 */
record Sample(long started, long[] arrivals, int promptTokens, int outputTokens) {
    long firstToken() {
        return arrivals[0] - started;
    }

    long whole() {
        return arrivals[arrivals.length - 1] - started;
    }

    /** Mean nanoseconds per token after the first, however many a chunk carries; 0 when there is one token only. */
    double perToken() {
        return outputTokens > 1 ? (double) (whole() - firstToken()) / (outputTokens - 1) : 0;
    }
}
