package dev.quire.model.arch;

import dev.quire.kernels.Backend;
import dev.quire.kernels.Buffer;
import dev.quire.kernels.DType;
import dev.quire.kernels.Tensor;
import dev.quire.kernels.Weight;
import dev.quire.model.weights.WeightSource;
import dev.quire.model.weights.WeightTensor;
import dev.quire.model.weights.WeightsException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The weights of one model on the device, by Hugging Face name. Shapes are checked against what the architecture asks
 * for. A matrix asked for twice is loaded once: that is how a tied output head shares the embedding. Owns the device
 * memory; used by one thread.
 */
public final class Weights implements AutoCloseable {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Backend backend;
    private final WeightSource source;
    private final LongConsumer bytesRead;
    private final Map<String, Weight> matrices = new HashMap<>();
    private final Map<String, Tensor> vectors = new HashMap<>();
    private @Nullable Arena stagingArena;
    private MemorySegment staging = MemorySegment.NULL;
    private long read;
    private boolean plain = true;

    /** @param bytesRead told after each tensor how many bytes of the file have been loaded */
    public Weights(Backend backend, WeightSource source, LongConsumer bytesRead) {
        this.backend = backend;
        this.source = source;
        this.bytesRead = bytesRead;
    }

    /** The matrix {@code [rows, cols]}, packed for the kernels. */
    public Weight matrix(String name, int rows, int cols) {
        Weight known = matrices.get(name);
        if (known != null) {
            if (known.rows() != rows || known.cols() != cols) {
                throw new IllegalArgumentException(name + " is wanted as " + rows + " x " + cols + " and is "
                        + known.rows() + " x " + known.cols());
            }
            return known;
        }
        WeightTensor tensor = shaped(name, rows, cols);
        Weight weight = load(name, tensor, rows, cols);
        matrices.put(name, weight);
        plain &= tensor.type() == DType.F32;
        report(tensor);
        return weight;
    }

    /** A matrix of a stack, by name. */
    public record Part(String name, int rows) {}

    /**
     * Matrices that are multiplied by the same input, one below the other: a single weight where the device takes them
     * for one and they have one type, else one for each.
     */
    public List<Weight> stacked(int cols, Part... parts) {
        List<WeightTensor> tensors = new ArrayList<>();
        int rows = 0;
        for (Part part : backend.joinsParts() ? parts : new Part[0]) {
            tensors.add(shaped(part.name, part.rows, cols));
            rows += part.rows;
        }
        if (tensors.stream().map(WeightTensor::type).distinct().count() != 1) {
            tensors.forEach(source::release);
            return Arrays.stream(parts)
                    .map(part -> matrix(part.name, part.rows, cols))
                    .toList();
        }
        String label = Arrays.stream(parts).map(Part::name).collect(Collectors.joining("+"));
        MemorySegment copy = copied(tensors);
        DType type = tensors.getFirst().type();
        Weight weight = backend.load(copy, type, rows, cols, label);
        matrices.put(label, weight);
        plain &= type == DType.F32;
        tensors.forEach(this::report);
        return List.of(weight);
    }

    private Weight load(String name, WeightTensor tensor, int rows, int cols) {
        return backend.load(copied(List.of(tensor)), tensor.type(), rows, cols, name);
    }

    /** Their bytes one after the other: a file that shrinks is an exception here, and would be a fault in native code. */
    private MemorySegment copied(List<WeightTensor> tensors) {
        MemorySegment copy =
                staged(tensors.stream().mapToLong(t -> t.data().byteSize()).sum());
        long at = 0;
        for (WeightTensor tensor : tensors) {
            MemorySegment data = tensor.data();
            try {
                copy.asSlice(at, data.byteSize()).copyFrom(data);
            } catch (InternalError e) {
                throw new WeightsException(
                        source.path(),
                        -1,
                        "tensor " + tensor.name() + " cannot be read; the file was cut meanwhile",
                        e);
            }
            at += data.byteSize();
        }
        return copy;
    }

    private MemorySegment staged(long bytes) {
        if (staging.byteSize() < bytes) {
            releaseStaging();
            Arena arena = Arena.ofConfined();
            stagingArena = arena;
            staging = arena.allocate(bytes, 64);
        }
        return staging.asSlice(0, bytes);
    }

    /** Frees the buffer that weights were read into. Called by the thread that loaded them; more may still be loaded. */
    public void releaseStaging() {
        if (stagingArena != null) {
            stagingArena.close();
            stagingArena = null;
            staging = MemorySegment.NULL;
        }
    }

    /** The vector of {@code size} floats, as {@code [1, size]}. */
    public Tensor vector(String name, int size) {
        return vectors(List.of(name), size);
    }

    /** Vectors one after the other, {@code [1, sum of sizes]}: the bias of stacked matrices. */
    public Tensor vectors(List<String> names, int... sizes) {
        String label = String.join("+", names);
        Tensor known = vectors.get(label);
        if (known != null) {
            return known;
        }
        float[] values = new float[Arrays.stream(sizes).sum()];
        int at = 0;
        for (int i = 0; i < sizes.length; i++) {
            WeightTensor tensor = shaped(names.get(i), sizes[i]);
            floats(tensor, values, at);
            at += sizes[i];
            report(tensor);
        }
        Tensor tensor = upload(label, values, values.length);
        vectors.put(label, tensor);
        return tensor;
    }

    private Tensor upload(String label, float[] values, int cols) {
        Buffer buffer = backend.allocate((long) values.length * Float.BYTES, label);
        backend.upload(buffer, 0, MemorySegment.ofArray(values));
        return new Tensor(buffer, 0, values.length / cols, cols);
    }

    /** The table of {@link RopeTable} on the device, {@code [positions, rotaryDim]}. */
    public Tensor cosSin(ModelConfig config, int positions) {
        return vectors.computeIfAbsent(
                "cos and sin of " + positions + " positions",
                label -> upload(label, RopeTable.cosSin(config, positions), config.rotaryDim()));
    }

    private WeightTensor shaped(String name, long... shape) {
        WeightTensor tensor = source.tensor(name);
        if (!Arrays.equals(tensor.shape(), shape)) {
            throw new WeightsException(
                    source.path(),
                    "tensor " + tensor.name() + " has shape "
                            + Arrays.toString(tensor.shape()) + ", the model's configuration asks for "
                            + Arrays.toString(shape));
        }
        return tensor;
    }

    private void floats(WeightTensor tensor, float[] to, int at) {
        MemorySegment data = tensor.data();
        int n = (int) tensor.elements();
        for (int i = 0; i < n; i++) {
            to[at + i] = switch (tensor.type()) {
                case F32 -> data.get(FLOAT, 4L * i);
                case F16 -> Float.float16ToFloat(data.get(SHORT, 2L * i));
                case BF16 -> Float.intBitsToFloat(data.get(SHORT, 2L * i) << 16);
                default ->
                    throw new WeightsException(
                            source.path(),
                            "tensor " + tensor.name() + " is a vector of type " + tensor.type()
                                    + ", supported are F32, F16, BF16");
            };
        }
    }

    private void report(WeightTensor tensor) {
        read += tensor.data().byteSize();
        source.release(tensor);
        bytesRead.accept(read);
    }

    /** Whether every matrix loaded so far is float32. */
    public boolean allFloat32() {
        return plain;
    }

    /** Device memory taken so far, in bytes. */
    public long bytes() {
        long bytes = 0;
        for (Weight weight : matrices.values()) {
            bytes += weight.buffer().bytes();
        }
        for (Tensor vector : vectors.values()) {
            bytes += vector.buffer().bytes();
        }
        return bytes;
    }

    /** Frees the device memory. */
    @Override
    public void close() {
        releaseStaging();
        matrices.values().forEach(Weight::close);
        vectors.values().forEach(v -> v.buffer().close());
        matrices.clear();
        vectors.clear();
    }
}
