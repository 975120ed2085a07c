package dev.quire.model.arch;

import dev.quire.kernels.Op;
import org.jspecify.annotations.Nullable;

/**
 * The shape and constants of a model, from config.json or GGUF metadata.
 *
 * @param architecture name in the table {@code Architectures}: llama, qwen2, qwen3
 * @param layers decoder layers
 * @param hidden width of the residual stream
 * @param inner width of the feed-forward block
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param headDim elements per head
 * @param rotaryDim leading elements of a head that are rotated
 * @param vocab rows of the embedding
 * @param maxPositions positions the model was trained for
 * @param normEps of RMS norms
 * @param rope how positions rotate
 * @param interleavedRope true where pairs are (2i, 2i + 1): GGUF files of Llama
 * @param qkvBias whether the query, key and value projections have a bias
 * @param qkNorm whether each head of q and k is normed
 * @param tiedEmbeddings whether the embedding is the output head too
 * @param slidingWindow 0 = none
 * @param activation of the feed-forward block
 */
public record ModelConfig(
        String architecture,
        int layers,
        int hidden,
        int inner,
        int heads,
        int kvHeads,
        int headDim,
        int rotaryDim,
        int vocab,
        int maxPositions,
        float normEps,
        Rope rope,
        boolean interleavedRope,
        boolean qkvBias,
        boolean qkNorm,
        boolean tiedEmbeddings,
        int slidingWindow,
        Op.Activation activation) {
    /**
     * Rotary embedding (Su et al. 2021) with optional scaling.
     *
     * @param theta base of the frequencies
     * @param scaling null = none
     */
    public record Rope(double theta, @Nullable Scaling scaling) {}

    /** A rule that stretches the frequencies. */
    public sealed interface Scaling {
        /** All positions divided by {@code factor}. */
        record Linear(double factor) implements Scaling {}

        /** Llama 3.1: long wavelengths stretched, short ones kept, smooth between. */
        record Llama3(double factor, double lowFrequency, double highFrequency, int originalPositions)
                implements Scaling {}

        /** A divisor per frequency, as GGUF's {@code rope_freqs} tensor gives it. */
        record Factors(float[] divisors) implements Scaling {}
    }
}
