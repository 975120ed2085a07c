package dev.quire.model.arch;

import dev.quire.kernels.Tensor;
import dev.quire.kernels.Weight;
import java.util.ArrayList;
import java.util.List;

/** Mixtral: like Llama, with a mixture of experts in place of the feed-forward block. */
final class Mixtral implements Architecture {
    private record Layer(Tensor inputNorm, List<Weight> qkv, Weight o, Tensor postNorm, Experts experts) {}

    private static final String EMBEDDING = "model.embed_tokens.weight";

    private final Weight embedding;
    private final List<Layer> layers = new ArrayList<>();
    private final Tensor norm;
    private final Weight head;

    Mixtral(ModelConfig c, Weights w) {
        embedding = w.matrix(EMBEDDING, c.vocab(), c.hidden());
        for (int i = 0; i < c.layers(); i++) {
            layers.add(layer(c, w, "model.layers." + i + "."));
        }
        norm = w.vector("model.norm.weight", c.hidden());
        head = w.columnParallel(c.tiedEmbeddings() ? EMBEDDING : "lm_head.weight", c.vocab(), c.hidden());
    }

    private static Layer layer(ModelConfig c, Weights w, String at) {
        int queries = c.heads() * c.headDim();
        int keys = c.kvHeads() * c.headDim();
        return new Layer(
                w.vector(at + "input_layernorm.weight", c.hidden()),
                w.stacked(
                        c.hidden(),
                        new Weights.Part(at + "self_attn.q_proj.weight", queries),
                        new Weights.Part(at + "self_attn.k_proj.weight", keys),
                        new Weights.Part(at + "self_attn.v_proj.weight", keys)),
                w.rowParallel(at + "self_attn.o_proj.weight", c.hidden(), queries),
                w.vector(at + "post_attention_layernorm.weight", c.hidden()),
                Experts.load(c, w, at + "block_sparse_moe.", "w1", "w3", "w2"));
    }

    @Override
    public Tensor logits(Forward f) {
        Tensor x = f.embed(embedding);
        for (int i = 0; i < layers.size(); i++) {
            Layer l = layers.get(i);
            Tensor qkv = f.linear("qkv", f.norm(x, l.inputNorm), null, l.qkv);
            Tensor q = f.ropeKv(qkv, null, null, i);
            Tensor attended = f.wanted(i, "last attended", f.attend(q, i));
            x = f.wanted(i, "last residual", x);
            f.addLinear(x, attended, l.o);
            f.addExperts(x, f.norm(x, l.postNorm), l.experts);
        }
        return f.logits(f.norm(x, norm), head);
    }
}
