package dev.quire.model.arch;

import static java.util.Objects.requireNonNull;

import dev.quire.kernels.Tensor;
import dev.quire.kernels.Weight;
import java.util.ArrayList;
import java.util.List;

/** The mixtures of experts of Qwen 3: like Qwen 3; some layers may have its feed-forward block. */
final class Qwen3Moe implements Architecture {
    private record Layer(
            Tensor inputNorm,
            List<Weight> qkv,
            Tensor qNorm,
            Tensor kNorm,
            Weight o,
            Tensor postNorm,
            FeedForward feedForward) {}

    private sealed interface FeedForward {}

    private record Dense(List<Weight> gateUp, Weight down) implements FeedForward {}

    private record Sparse(Experts experts) implements FeedForward {}

    private static final String EMBEDDING = "model.embed_tokens.weight";

    private final Weight embedding;
    private final List<Layer> layers = new ArrayList<>();
    private final Tensor norm;
    private final Weight head;

    Qwen3Moe(ModelConfig c, Weights w) {
        embedding = w.matrix(EMBEDDING, c.vocab(), c.hidden());
        for (int i = 0; i < c.layers(); i++) {
            layers.add(layer(c, w, i));
        }
        norm = w.vector("model.norm.weight", c.hidden());
        head = w.columnParallel(c.tiedEmbeddings() ? EMBEDDING : "lm_head.weight", c.vocab(), c.hidden());
    }

    private static Layer layer(ModelConfig c, Weights w, int index) {
        String at = "model.layers." + index + ".";
        int queries = c.heads() * c.headDim();
        int keys = c.kvHeads() * c.headDim();
        return new Layer(
                w.vector(at + "input_layernorm.weight", c.hidden()),
                w.stacked(
                        c.hidden(),
                        new Weights.Part(at + "self_attn.q_proj.weight", queries),
                        new Weights.Part(at + "self_attn.k_proj.weight", keys),
                        new Weights.Part(at + "self_attn.v_proj.weight", keys)),
                w.vector(at + "self_attn.q_norm.weight", c.headDim()),
                w.vector(at + "self_attn.k_norm.weight", c.headDim()),
                w.rowParallel(at + "self_attn.o_proj.weight", c.hidden(), queries),
                w.vector(at + "post_attention_layernorm.weight", c.hidden()),
                feedForward(c, w, at + "mlp.", index));
    }

    private static FeedForward feedForward(ModelConfig c, Weights w, String at, int index) {
        ModelConfig.Experts experts = requireNonNull(c.experts());
        if (!experts.denseLayers().contains(index)) {
            return new Sparse(Experts.load(c, w, at, "gate_proj", "up_proj", "down_proj"));
        }
        return new Dense(
                w.stacked(
                        c.hidden(),
                        new Weights.Part(at + "gate_proj.weight", c.inner()),
                        new Weights.Part(at + "up_proj.weight", c.inner())),
                w.rowParallel(at + "down_proj.weight", c.hidden(), c.inner()));
    }

    @Override
    public Tensor logits(Forward f) {
        Tensor x = f.embed(embedding);
        for (int i = 0; i < layers.size(); i++) {
            Layer l = layers.get(i);
            Tensor qkv = f.linear("qkv", f.norm(x, l.inputNorm), null, l.qkv);
            Tensor q = f.ropeKv(qkv, l.qNorm, l.kNorm, i);
            Tensor attended = f.wanted(i, "last attended", f.attend(q, i));
            x = f.wanted(i, "last residual", x);
            f.addLinear(x, attended, l.o);
            Tensor normed = f.norm(x, l.postNorm);
            switch (l.feedForward) {
                case Sparse sparse -> f.addExperts(x, normed, sparse.experts);
                case Dense dense ->
                    f.addLinear(x, f.gated(f.linear("gate and up", normed, null, dense.gateUp)), dense.down);
            }
        }
        return f.logits(f.norm(x, norm), head);
    }
}
