package dev.quire.model.weights;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The tensors of a model by the names that Hugging Face checkpoints use, whatever the file format. Mapped, not copied,
 * where the file has what kernels take: tensors are valid until {@link #close} or {@link #release}. Any thread may read.
 */
public sealed interface WeightSource extends AutoCloseable permits GgufWeights, SafetensorsWeights {
    /** The file or folder. */
    Path path();

    /** The tensor, or null when the model has none of this name. */
    @Nullable
    WeightTensor find(String name);

    /** The tensor. @throws WeightsException when the model has none of this name */
    default WeightTensor tensor(String name) {
        WeightTensor tensor = find(name);
        if (tensor == null) {
            throw new WeightsException(path(), "tensor " + describe(name) + " is missing");
        }
        return tensor;
    }

    /** Its data is not needed any more: what had to be made of the file for it is freed. */
    default void release(WeightTensor tensor) {}

    /** The name as this format writes it, for messages. */
    String describe(String name);

    /** Bytes of all tensors together. */
    long bytes();

    @Override
    void close();
}
