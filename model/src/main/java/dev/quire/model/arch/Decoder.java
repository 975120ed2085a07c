package dev.quire.model.arch;

import dev.quire.kernels.Tensor;
import dev.quire.kernels.Weight;
import java.util.ArrayList;
import java.util.List;

/**
 * A pre-norm decoder: embedding, layers of self-attention and feed-forward blocks on a residual stream, norm, head. The
 * architectures differ in how a layer's two parts are made.
 */
final class Decoder implements Architecture {
    private record Layer(Tensor inputNorm, SelfAttention attention, Tensor postNorm, FeedForward feedForward) {}

    /** Loads a part of a layer. */
    interface Part<T> {
        /**
         * @param at the layer's part of the weights' names
         * @param index the layer's number
         */
        T load(String at, int index);
    }

    private static final String EMBEDDING = "model.embed_tokens.weight";

    private final Weight embedding;
    private final List<Layer> layers = new ArrayList<>();
    private final Tensor norm;
    private final Weight head;

    Decoder(ModelConfig c, Weights w, Part<SelfAttention> attention, Part<FeedForward> feedForward) {
        embedding = w.matrix(EMBEDDING, c.vocab(), c.hidden());
        for (int i = 0; i < c.layers(); i++) {
            String at = "model.layers." + i + ".";
            layers.add(new Layer(
                    w.vector(at + "input_layernorm.weight", c.hidden()),
                    attention.load(at, i),
                    w.vector(at + "post_attention_layernorm.weight", c.hidden()),
                    feedForward.load(at, i)));
        }
        norm = w.vector("model.norm.weight", c.hidden());
        head = w.columnParallel(c.tiedEmbeddings() ? EMBEDDING : "lm_head.weight", c.vocab(), c.hidden());
    }

    @Override
    public Tensor logits(Forward f) {
        Tensor x = f.embed(embedding);
        for (int i = 0; i < layers.size(); i++) {
            Layer l = layers.get(i);
            Tensor attended = f.wanted(i, "last attended", l.attention.attend(f, f.norm(x, l.inputNorm), i));
            x = f.wanted(i, "last residual", x);
            f.addLinear(x, attended, l.attention.o());
            l.feedForward.add(f, x, f.norm(x, l.postNorm));
        }
        return f.logits(f.norm(x, norm), head);
    }
}
