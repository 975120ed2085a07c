package dev.quire.model.arch;

import dev.quire.kernels.Op;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The shape and constants of a model, from config.json or GGUF metadata.
 *
 * @param architecture name in the table {@code Architectures}
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
 * @param tiedEmbeddings whether the embedding is the output head too
 * @param slidingWindow 0 = none
 * @param activation of the feed-forward block
 * @param experts null = none
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
        boolean tiedEmbeddings,
        int slidingWindow,
        Op.Activation activation,
        @Nullable Experts experts) {
    private static final int MAX_WIDTH = 1 << 18;

    /** @throws IllegalArgumentException naming the number that is out of range or does not fit the others */
    public ModelConfig {
        within("layers", layers, 1 << 10);
        within("hidden", hidden, MAX_WIDTH);
        within("inner", inner, MAX_WIDTH);
        within("heads", heads, 1 << 12);
        within("kvHeads", kvHeads, heads);
        within("headDim", headDim, 1 << 10);
        within("rotaryDim", rotaryDim, headDim);
        within("vocab", vocab, 1 << 22);
        within("maxPositions", maxPositions, 1 << 24);
        if (heads % kvHeads != 0) {
            throw new IllegalArgumentException("heads is " + heads + ", not a multiple of kvHeads " + kvHeads);
        }
        if (rotaryDim % 2 != 0) {
            throw new IllegalArgumentException("rotaryDim is " + rotaryDim + ", an even number is needed");
        }
        if (!(normEps > 0 && normEps < 1) || !(rope.theta >= 1 && rope.theta <= 1e12)) {
            throw new IllegalArgumentException("normEps is " + normEps + " (allowed: above 0, below 1), rope theta is "
                    + rope.theta + " (allowed: 1 to 1e12)");
        }
        if (slidingWindow < 0) {
            throw new IllegalArgumentException("slidingWindow is " + slidingWindow + ", allowed: 0 or more");
        }
    }

    /**
     * What each of several ranks computes: its share of the heads and of the feed-forward block.
     *
     * @throws IllegalArgumentException when something cannot be shared out evenly
     */
    public ModelConfig share(int ranks) {
        if (!sharedBy(ranks)) {
            String mixture = experts == null ? "" : ", experts of " + experts.inner;
            throw new IllegalArgumentException("tensor-parallel-size is " + ranks + ", but the model has " + heads
                    + " query heads, " + kvHeads + " key-value heads and " + inner + " feed-forward columns" + mixture
                    + "; allowed here: " + shares());
        }
        return new ModelConfig(
                architecture,
                layers,
                hidden,
                inner / ranks,
                heads / ranks,
                kvHeads / ranks,
                headDim,
                rotaryDim,
                vocab,
                maxPositions,
                normEps,
                rope,
                interleavedRope,
                tiedEmbeddings,
                slidingWindow,
                activation,
                experts == null ? null : experts.share(ranks));
    }

    private boolean sharedBy(int ranks) {
        boolean dense = kvHeads % ranks == 0 && inner % ranks == 0;
        return dense && (experts == null || experts.inner % (ranks * Experts.COLUMNS) == 0);
    }

    /** Numbers of ranks that the model can be split over; heads are a multiple of kvHeads. */
    private String shares() {
        return IntStream.rangeClosed(1, kvHeads)
                .filter(this::sharedBy)
                .mapToObj(Integer::toString)
                .collect(Collectors.joining(", "));
    }

    /**
     * A mixture of experts in place of the feed-forward block.
     *
     * @param count experts of a layer
     * @param chosen how many of them compute a token
     * @param inner width of an expert
     * @param normalised whether the weights of the chosen ones add up to 1
     * @param denseLayers layers that have a plain feed-forward block
     */
    public record Experts(int count, int chosen, int inner, boolean normalised, Set<Integer> denseLayers) {
        /** What {@link #inner} is a multiple of, on each rank. */
        private static final int COLUMNS = 32;

        private Experts share(int ranks) {
            return new Experts(count, chosen, inner / ranks, normalised, denseLayers);
        }

        public Experts {
            within("experts", count, 1 << 12);
            within("experts per token", chosen, count);
            within("width of an expert", inner, MAX_WIDTH);
            denseLayers = Set.copyOf(denseLayers);
        }
    }

    private static void within(String name, int value, int most) {
        if (value < 1 || value > most) {
            throw new IllegalArgumentException(name + " is " + value + ", allowed: 1 to " + most);
        }
    }

    /**
     * Rotary embedding (Su et al. 2021) with optional scaling.
     *
     * @param theta base of the frequencies
     * @param scaling null = none
     */
    public record Rope(double theta, @Nullable Scaling scaling) {}

    /** A rule that stretches the frequencies; its numbers are positive and finite. */
    public sealed interface Scaling {
        /** All positions divided by {@code factor}. */
        record Linear(double factor) implements Scaling {
            public Linear {
                positive("rope scaling factor", factor);
            }
        }

        /** Llama 3.1: long wavelengths stretched, short ones kept, smooth between. */
        record Llama3(double factor, double lowFrequency, double highFrequency, int originalPositions)
                implements Scaling {
            public Llama3 {
                positive("rope scaling factor", factor);
                positive("rope low_freq_factor", lowFrequency);
                positive("rope high_freq_factor - low_freq_factor", highFrequency - lowFrequency);
                positive("rope original positions", originalPositions);
            }
        }

        /** A divisor per frequency, as GGUF's {@code rope_freqs} tensor gives it. */
        record Factors(float[] divisors) implements Scaling {
            public Factors {
                for (float divisor : divisors) {
                    positive("rope frequency divisor", divisor);
                }
            }
        }

        private static void positive(String name, double value) {
            if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
                throw new IllegalArgumentException(name + " is " + value + ", a positive number is needed");
            }
        }
    }
}
