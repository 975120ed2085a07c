package dev.quire.model.weights;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The tensors of a folder of safetensors, which use Hugging Face's names already; 8-bit floats come with their scales.
 * Owns the folder's mappings.
 */
public final class SafetensorsWeights implements WeightSource {
    private final SafetensorsDirectory directory;
    /** Of tensors that are not as the file has them, by their data's address. */
    private final Map<Long, Arena> made = new ConcurrentHashMap<>();

    public SafetensorsWeights(SafetensorsDirectory directory) {
        this.directory = directory;
    }

    @Override
    public Path path() {
        return directory.path();
    }

    @Override
    public @Nullable WeightTensor find(String name) {
        Float8Tensor codes = directory.float8(name);
        return codes == null ? directory.tensor(name) : scaled(codes);
    }

    private WeightTensor scaled(Float8Tensor codes) {
        WeightTensor perSquare = directory.tensor(codes.name() + "_scale_inv");
        WeightTensor scale = perSquare == null ? directory.tensor(codes.name() + "_scale") : perSquare;
        if (scale == null) {
            throw new WeightsException(path(), "tensor " + codes.name() + " is F8_E4M3 and has no scales");
        }
        Arena arena = Arena.ofShared();
        try {
            WeightTensor tensor = codes.scaled(scale, arena);
            made.put(tensor.data().address(), arena);
            return tensor;
        } catch (IllegalArgumentException | InternalError e) { // the second from a mapped file that was cut
            arena.close();
            throw new WeightsException(path(), -1, "tensor " + codes.name() + ": " + e.getMessage(), e);
        }
    }

    @Override
    public void release(WeightTensor tensor) {
        Arena arena = made.remove(tensor.data().address());
        if (arena != null) {
            arena.close();
        }
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
        made.values().forEach(Arena::close);
        made.clear();
        directory.close();
    }
}
