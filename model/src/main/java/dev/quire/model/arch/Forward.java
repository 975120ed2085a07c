package dev.quire.model.arch;

import dev.quire.kernels.Op;
import dev.quire.kernels.Tensor;
import dev.quire.kernels.Weight;
import dev.quire.kvcache.KvStore;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The vocabulary in which an {@link Architecture} writes a forward pass. Nothing is computed here: each call appends an
 * operation to a list that is run for every step, whatever the step's size. Shapes: T tokens of the step, R rows whose
 * logits are wanted.
 *
 * <p>A result is overwritten by the next call of the same verb and name: a norm by the next norm, a linear layer by the
 * next one of the same {@code out}.
 */
public final class Forward {
    private final ModelConfig config;
    private final Workspace workspace;
    private final KvStore cache;
    private final Tensor cosSin;
    private final boolean highPrecision;
    private final Shard shard;
    private final List<Op> operations = new ArrayList<>();
    private Op.Rows rows = Op.Rows.TOKENS;

    /**
     * @param config of this rank
     * @param highPrecision 15-bit instead of 8-bit activations where weights are quantised
     */
    public Forward(
            ModelConfig config, Workspace workspace, KvStore cache, Tensor cosSin, boolean highPrecision, Shard shard) {
        this.config = config;
        this.workspace = workspace;
        this.cache = cache;
        this.cosSin = cosSin;
        this.highPrecision = highPrecision;
        this.shard = shard;
        cache.swapBlocks().ifPresent(operations::add);
        operations.add(cache.copyBlocks());
    }

    /** The list so far. */
    public List<Op> operations() {
        return List.copyOf(operations);
    }

    private Tensor result(String name, int cols) {
        return workspace.tensor(name, rows, cols);
    }

    /** Rows of the embedding of the step's tokens: the residual stream {@code [T, hidden]}. */
    public Tensor embed(Weight embedding) {
        Tensor out = result("residual", embedding.cols());
        operations.add(new Op.Embed(out, embedding, 1));
        return out;
    }

    /** Root mean square norm of each row. */
    public Tensor norm(Tensor x, Tensor weight) {
        Tensor out = result("norm", x.cols());
        operations.add(new Op.RmsNorm(out, x, weight, config.normEps(), rows));
        return out;
    }

    /** {@code x Wᵀ + bias}, W being the parts stacked: {@code [rows of x, sum of the parts' rows]}. */
    public Tensor linear(String out, Tensor x, @Nullable Tensor bias, List<Weight> parts) {
        long cols = 0;
        for (Weight part : parts) {
            cols += part.rows();
        }
        Tensor result = result(out, Math.toIntExact(cols));
        operations.add(new Op.Linear(result, x, parts, bias, false, highPrecision, rows));
        return result;
    }

    /** {@code sum += x Wᵀ}, W being row-parallel: one rank adds its product to the sum, which all have, the others follow. */
    public void addLinear(Tensor sum, Tensor x, Weight weight) {
        operations.add(new Op.Linear(sum, x, List.of(weight), null, shard.first(), highPrecision, rows));
        if (shard.split()) {
            operations.add(new Op.AllReduce(sum, rows));
        }
    }

    /**
     * {@code sum +=} what the experts that the router chooses for each row make of x, of whose inner columns each rank has
     * some: one rank adds its part to the sum, which all have, the others follow.
     */
    void addExperts(Tensor sum, Tensor x, Experts experts) {
        ModelConfig.Experts shape = experts.shape();
        Tensor logits = linear("router", x, null, List.of(experts.router()));
        operations.add(new Op.Experts(
                sum,
                x,
                logits,
                experts.gate(),
                experts.up(),
                experts.down(),
                shape.chosen(),
                shape.normalised(),
                shard.first(),
                config.activation(),
                highPrecision,
                rows));
        if (shard.split()) {
            operations.add(new Op.AllReduce(sum, rows));
        }
    }

    /**
     * Norms the heads of q and k where norms are given, rotates them by position, and puts k and v into the layer's
     * cache; returns q {@code [T, heads headDim]}.
     */
    public Tensor ropeKv(Tensor qkv, @Nullable Tensor qNorm, @Nullable Tensor kNorm, int layer) {
        Tensor q = result("queries", config.heads() * config.headDim());
        operations.add(new Op.RopeKv(
                q,
                qkv,
                qNorm,
                kNorm,
                cosSin,
                cache.layer(layer),
                config.heads(),
                config.rotaryDim(),
                config.interleavedRope(),
                config.normEps()));
        return q;
    }

    /** Causal attention of q over the layer's cache: {@code [T, heads headDim]}. */
    public Tensor attend(Tensor q, int layer) {
        Tensor out = result("attention", q.cols());
        float scale = (float) (1 / Math.sqrt(config.headDim()));
        operations.add(new Op.Attention(out, q, cache.layer(layer), config.heads(), scale, config.slidingWindow(), 0));
        return out;
    }

    /** {@code act(gate) up} of a {@code [T or R, 2 inner]} matrix: {@code [T or R, inner]}. */
    public Tensor gated(Tensor gateUp) {
        Tensor out = result("gated", gateUp.cols() / 2);
        operations.add(new Op.Gated(out, gateUp, config.activation(), rows));
        return out;
    }

    /**
     * Behind the attention of the last layer keys and values are in the cache, and only rows matter whose logits are
     * wanted: there those of x, {@code [R, cols]}, and all that follows works on R rows. In other layers x itself.
     */
    public Tensor wanted(int layer, String out, Tensor x) {
        if (layer < config.layers() - 1) {
            return x;
        }
        rows = Op.Rows.LOGITS;
        Tensor result = result(out, x.cols());
        operations.add(new Op.GatherRows(result, x));
        return result;
    }

    /**
     * {@code x headᵀ}, the head being column-parallel, from which the first rank draws the step's samples:
     * {@code [R, vocab]}; on the other ranks their columns alone.
     */
    public Tensor logits(Tensor x, Weight head) {
        Tensor logits = linear("logits", x, null, List.of(head));
        if (!shard.split()) {
            operations.add(new Op.Sample(logits));
            return logits;
        }
        Tensor all = shard.first() ? result("logits of all ranks", config.vocab()) : null;
        operations.add(new Op.AllGather(all, logits, config.vocab(), rows));
        if (all == null) {
            return logits;
        }
        operations.add(new Op.Sample(all));
        return all;
    }
}
