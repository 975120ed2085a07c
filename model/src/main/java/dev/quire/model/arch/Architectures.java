package dev.quire.model.arch;

import static java.util.Objects.requireNonNull;

import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** The architectures by name. A new one that is a {@link Decoder} is a few lines here, another a file in this package. */
public final class Architectures {
    private static final Map<String, Architecture.Factory> TABLE = new TreeMap<>(Map.of(
            "llama", Architectures::llama,
            "mixtral", Architectures::mixtral,
            "qwen2", Architectures::qwen2,
            "qwen3", Architectures::qwen3,
            "qwen3moe", Architectures::qwen3Moe));

    private Architectures() {}

    /** Llama 2 and 3, SmolLM and Mistral: grouped queries, gated feed-forward. */
    private static Architecture llama(ModelConfig c, Weights w) {
        return new Decoder(
                c, w, (at, _) -> SelfAttention.plain(c, w, at), (at, _) -> FeedForward.dense(c, w, at + "mlp."));
    }

    /** Mixtral: like Llama, with a mixture of experts in place of the feed-forward block. */
    private static Architecture mixtral(ModelConfig c, Weights w) {
        return new Decoder(
                c,
                w,
                (at, _) -> SelfAttention.plain(c, w, at),
                (at, _) -> new FeedForward.Sparse(Experts.load(c, w, at + "block_sparse_moe.", "w1", "w3", "w2")));
    }

    /** Qwen 2 and 2.5: like Llama, with a bias in the query, key and value projections. */
    private static Architecture qwen2(ModelConfig c, Weights w) {
        return new Decoder(
                c, w, (at, _) -> SelfAttention.biased(c, w, at), (at, _) -> FeedForward.dense(c, w, at + "mlp."));
    }

    /** Qwen 3: like Llama, with each head of q and k normed before it is rotated. */
    private static Architecture qwen3(ModelConfig c, Weights w) {
        return new Decoder(
                c, w, (at, _) -> SelfAttention.normed(c, w, at), (at, _) -> FeedForward.dense(c, w, at + "mlp."));
    }

    /** The mixtures of experts of Qwen 3: like Qwen 3; some layers may have its feed-forward block. */
    private static Architecture qwen3Moe(ModelConfig c, Weights w) {
        Set<Integer> dense = requireNonNull(c.experts()).denseLayers();
        return new Decoder(c, w, (at, _) -> SelfAttention.normed(c, w, at), (at, index) -> {
            if (dense.contains(index)) {
                return FeedForward.dense(c, w, at + "mlp.");
            }
            return new FeedForward.Sparse(Experts.load(c, w, at + "mlp.", "gate_proj", "up_proj", "down_proj"));
        });
    }

    /** The names, in alphabetical order. */
    public static Set<String> names() {
        return TABLE.keySet();
    }

    /** Loads the weights of a model. @throws IllegalArgumentException for a name that is not in the table */
    public static Architecture create(ModelConfig config, Weights weights) {
        Architecture.Factory factory = TABLE.get(config.architecture());
        if (factory == null) {
            throw new IllegalArgumentException(
                    "architecture " + config.architecture() + "; supported are " + String.join(", ", names()));
        }
        return factory.create(config, weights);
    }
}
