package dev.quire.model.arch;

import dev.quire.kernels.Tensor;

/**
 * A family of models: its weights by name, and how they make logits. One instance belongs to one loaded model; it holds
 * no state of any sequence.
 */
public interface Architecture {
    /** Records the operations of one step; returns the logits {@code [R, vocab]}. Called once. */
    Tensor logits(Forward f);

    /** Loads the weights. */
    interface Factory {
        /** @throws dev.quire.model.weights.WeightsException when a tensor is missing or has another shape */
        Architecture create(ModelConfig config, Weights weights);
    }
}
