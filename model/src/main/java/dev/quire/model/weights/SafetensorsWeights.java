package dev.quire.model.weights;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The tensors of a folder of safetensors, which use Hugging Face's names already. Owns the folder's mappings. */
public final class SafetensorsWeights implements WeightSource {
    private final SafetensorsDirectory directory;

    public SafetensorsWeights(SafetensorsDirectory directory) {
        this.directory = directory;
    }

    @Override
    public Path path() {
        return directory.path();
    }

    @Override
    public @Nullable WeightTensor find(String name) {
        return directory.tensor(name);
    }

    @Override
    public String describe(String name) {
        return name;
    }

    @Override
    public long bytes() {
        return directory.bytes();
    }

    @Override
    public void close() {
        directory.close();
    }
}
