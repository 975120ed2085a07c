package dev.quire.bench;

/**
 * The lengths of a request, in tokens.
 *
 * @param shared the beginning of the prompt that all requests of a run have in common
 * @param own the rest of the prompt
 * @param output tokens to generate
 */
record Lengths(int shared, int own, int output) {
    int prompt() {
        return shared + own;
    }
}
