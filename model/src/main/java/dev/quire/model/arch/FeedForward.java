package dev.quire.model.arch;

import dev.quire.kernels.Tensor;
import dev.quire.kernels.Weight;
import java.util.List;

/** What follows a layer's attention. */
sealed interface FeedForward {
    /** Adds its output for a normed input to the residual stream. */
    void add(Forward f, Tensor x, Tensor normed);

    /** A gated block. {@code at} is its part of the names. */
    static FeedForward dense(ModelConfig c, Weights w, String at) {
        return new Dense(
                w.stacked(
                        c.hidden(),
                        new Weights.Part(at + "gate_proj.weight", c.inner()),
                        new Weights.Part(at + "up_proj.weight", c.inner())),
                w.rowParallel(at + "down_proj.weight", c.hidden(), c.inner()));
    }

    /** {@code down(act(gate x) up x)}. */
    record Dense(List<Weight> gateUp, Weight down) implements FeedForward {
        @Override
        public void add(Forward f, Tensor x, Tensor normed) {
            f.addLinear(x, f.gated(f.linear("gate and up", normed, null, gateUp)), down);
        }
    }

    /** A mixture of experts. */
    record Sparse(Experts experts) implements FeedForward {
        @Override
        public void add(Forward f, Tensor x, Tensor normed) {
            f.addExperts(x, normed, experts);
        }
    }
}
