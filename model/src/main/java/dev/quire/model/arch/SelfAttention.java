package dev.quire.model.arch;

import dev.quire.kernels.Tensor;
import dev.quire.kernels.Weight;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a layer's self-attention.
 *
 * @param qkv query, key and value projections, stacked
 * @param qkvBias of all three; null = none
 * @param qNorm of each head of q, before it is rotated; null = none
 * @param kNorm of each head of k
 * @param o output projection
 */
record SelfAttention(
        List<Weight> qkv,
        @Nullable Tensor qkvBias,
        @Nullable Tensor qNorm,
        @Nullable Tensor kNorm,
        Weight o) {
    private static final List<String> PROJECTIONS = List.of("q_proj", "k_proj", "v_proj");

    /** Projections alone. {@code at} is the layer's part of the names. */
    static SelfAttention plain(ModelConfig c, Weights w, String at) {
        return load(c, w, at, null, null, null);
    }

    /** With biases in the query, key and value projections. */
    static SelfAttention biased(ModelConfig c, Weights w, String at) {
        List<String> biases = PROJECTIONS.stream()
                .map(name -> at + "self_attn." + name + ".bias")
                .toList();
        return load(c, w, at, w.columnParallel(biases, queries(c), keys(c), keys(c)), null, null);
    }

    /** With norms of the heads of q and k. */
    static SelfAttention normed(ModelConfig c, Weights w, String at) {
        Tensor qNorm = w.vector(at + "self_attn.q_norm.weight", c.headDim());
        Tensor kNorm = w.vector(at + "self_attn.k_norm.weight", c.headDim());
        return load(c, w, at, null, qNorm, kNorm);
    }

    private static SelfAttention load(
            ModelConfig c,
            Weights w,
            String at,
            @Nullable Tensor bias,
            @Nullable Tensor qNorm,
            @Nullable Tensor kNorm) {
        List<Weight> qkv = w.stacked(
                c.hidden(),
                new Weights.Part(at + "self_attn.q_proj.weight", queries(c)),
                new Weights.Part(at + "self_attn.k_proj.weight", keys(c)),
                new Weights.Part(at + "self_attn.v_proj.weight", keys(c)));
        Weight o = w.rowParallel(at + "self_attn.o_proj.weight", c.hidden(), queries(c));
        return new SelfAttention(qkv, bias, qNorm, kNorm, o);
    }

    private static int queries(ModelConfig c) {
        return c.heads() * c.headDim();
    }

    private static int keys(ModelConfig c) {
        return c.kvHeads() * c.headDim();
    }

    /** Attention of a normed input, before the output projection: {@code [T, heads headDim]}. */
    Tensor attend(Forward f, Tensor normed, int layer) {
        Tensor q = f.ropeKv(f.linear("qkv", normed, qkvBias, qkv), qNorm, kNorm, layer);
        return f.attend(q, layer);
    }
}
