package dev.quire.model.sampling;

/**
 * How a request's tokens are drawn. Immutable; already validated where the request came in.
 *
 * @param temperature 0 = greedy
 * @param topP in (0, 1]
 * @param topK 0 = all
 * @param minP in [0, 1], relative to the most likely token
 * @param repetitionPenalty above 0, 1 = none (Keskar et al. 2019), over prompt and output
 * @param presencePenalty in [-2, 2], over the output
 * @param frequencyPenalty in [-2, 2], over the output
 * @param seed key of the random numbers
 * @param logprobs -1 = none, 0 = of the token drawn, n = also of the n best
 * @param promptLogprobs whether the prompt's tokens are scored too (echo with logprobs)
 * @param biasTokens tokens whose logits {@code biasValues} are added to
 * @param biasValues as long as {@code biasTokens}
 */
public record SamplingParams(
        float temperature,
        float topP,
        int topK,
        float minP,
        float repetitionPenalty,
        float presencePenalty,
        float frequencyPenalty,
        long seed,
        int logprobs,
        boolean promptLogprobs,
        int[] biasTokens,
        float[] biasValues) {
    /** Arg-max of the logits, nothing else. */
    public static final SamplingParams GREEDY =
            new SamplingParams(0, 1, 0, 0, 1, 0, 0, 0, -1, false, new int[0], new float[0]);

    /** Whether drawing needs to know which tokens the sequence holds already. */
    public boolean usesCounts() {
        return repetitionPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0;
    }
}
