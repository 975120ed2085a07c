package dev.quire.model.arch;

import dev.quire.kernels.Backend;
import dev.quire.kernels.Op;
import dev.quire.kernels.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The activations of a model: one matrix per name, as tall as the largest step, shared by all layers. Owns the device
 * memory; used by one thread.
 */
public final class Workspace implements AutoCloseable {
    private final Backend backend;
    private final int tokens;
    private final int logits;
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();

    /**
     * @param tokens rows of per-token matrices
     * @param logits rows of the matrices behind {@link Forward#wanted}
     */
    public Workspace(Backend backend, int tokens, int logits) {
        this.backend = backend;
        this.tokens = tokens;
        this.logits = logits;
    }

    /** The matrix of this name; the same one at each call. */
    Tensor tensor(String name, Op.Rows rows, int cols) {
        int height = rows == Op.Rows.TOKENS ? tokens : logits;
        Tensor tensor =
                tensors.computeIfAbsent(name + " of " + rows, label -> allocate("activations: " + label, height, cols));
        if (tensor.cols() != cols) {
            throw new IllegalArgumentException(
                    name + " is wanted with " + cols + " and with " + tensor.cols() + " columns");
        }
        return tensor;
    }

    private Tensor allocate(String label, int rows, int cols) {
        long bytes = Math.multiplyExact(Math.multiplyExact((long) rows, cols), (long) Float.BYTES);
        return new Tensor(backend.allocate(bytes, label), 0, rows, cols);
    }

    /** Frees the memory. */
    @Override
    public void close() {
        tensors.values().forEach(t -> t.buffer().close());
        tensors.clear();
    }
}
