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
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The weights of one model, or of one rank's part, on the device, by Hugging Face name. Shapes are those of the whole
 * model, and checked against what the architecture asks for. A matrix asked for twice is loaded once: that is how a tied
 * output head shares the embedding. Owns the device memory; used by one thread.
 */
public final class Weights implements AutoCloseable {
    private final Backend backend;
    private final WeightSource source;
    private final LongConsumer bytesRead;
    private final Shard shard;
    private final Map<String, Weight> matrices = new HashMap<>();
    private final Map<String, Tensor> vectors = new HashMap<>();
    private @Nullable Arena stagingArena;
    private MemorySegment staging = MemorySegment.NULL;
    private long read;
    private boolean plain = true;

    /** @param bytesRead told after each tensor how many bytes of the file have been looked through */
    public Weights(Backend backend, WeightSource source, Shard shard, LongConsumer bytesRead) {
        this.backend = backend;
        this.source = source;
        this.shard = shard;
        this.bytesRead = bytesRead;
    }

    /** The whole matrix {@code [rows, cols]}, packed for the kernels. */
    public Weight matrix(String name, int rows, int cols) {
        return loaded(name, rows, cols, () -> List.of(Slice.of(shaped(name, rows, cols))));
    }

    /**
     * This rank's rows of the matrix {@code [rows, cols]}: {@code ceil(rows / ranks)} of them, of which those beyond the
     * matrix are zero.
     */
    public Weight columnParallel(String name, int rows, int cols) {
        int share = Math.ceilDiv(rows, shard.ranks());
        return loaded(part(name), share, cols, () -> List.of(rows(shaped(name, rows, cols), share)));
    }

    /** This rank's columns of the matrix {@code [rows, cols]}. */
    public Weight rowParallel(String name, int rows, int cols) {
        int share = cols / shard.ranks();
        return loaded(part(name), rows, share, () -> List.of(columns(shaped(name, rows, cols), share)));
    }

    /** A matrix of a stack, by name. */
    public record Part(String name, int rows) {}

    /**
     * Column-parallel matrices that are multiplied by the same input, one below the other: a single weight where the
     * device takes them for one and they have one type, else one for each.
     */
    public List<Weight> stacked(int cols, Part... parts) {
        List<WeightTensor> tensors = new ArrayList<>();
        for (Part part : backend.joinsParts() ? parts : new Part[0]) {
            tensors.add(shaped(part.name, part.rows, cols));
        }
        if (tensors.stream().map(WeightTensor::type).distinct().count() != 1) {
            tensors.forEach(source::release);
            return Arrays.stream(parts)
                    .map(part -> columnParallel(part.name, part.rows, cols))
                    .toList();
        }
        String label = part(Arrays.stream(parts).map(Part::name).collect(Collectors.joining("+")));
        List<Slice> slices = new ArrayList<>();
        int rows = 0;
        for (int i = 0; i < parts.length; i++) {
            int share = parts[i].rows / shard.ranks();
            slices.add(rows(tensors.get(i), share));
            rows += share;
        }
        return List.of(loaded(label, rows, cols, () -> slices));
    }

    private String part(String name) {
        return shard.split() ? name + ", " + shard : name;
    }

    /** Of a tensor, {@code pieces} of {@code bytes}, the first at {@code from}, at even distances. */
    private record Slice(WeightTensor tensor, long from, long bytes, int pieces) {
        static Slice of(WeightTensor tensor) {
            return new Slice(tensor, 0, tensor.data().byteSize(), 1);
        }

        void copyTo(MemorySegment to, long at) {
            long distance = tensor.data().byteSize() / pieces;
            for (int i = 0; i < pieces; i++) {
                MemorySegment.copy(tensor.data(), from + i * distance, to, at + i * bytes, bytes);
            }
        }
    }

    /** This rank's {@code share} rows of a matrix, or what there is of them. */
    private Slice rows(WeightTensor tensor, int share) {
        long all = tensor.data().byteSize();
        long bytes = all / tensor.shape()[0] * share;
        long from = Math.min(all, shard.rank() * bytes);
        return new Slice(tensor, from, Math.min(bytes, all - from), 1);
    }

    /** This rank's {@code share} columns of a matrix, or of several that the tensor holds. */
    private Slice columns(WeightTensor tensor, int share) {
        int block = tensor.type().blockElements();
        long cols = tensor.shape()[tensor.shape().length - 1];
        if ((long) share * shard.ranks() != cols || share % block != 0) {
            throw new WeightsException(
                    source.path(),
                    "tensor " + tensor.name() + " of type " + tensor.type() + " has " + cols + " columns, which "
                            + shard.ranks() + " ranks cannot share: each would need a multiple of " + block);
        }
        long bytes = tensor.type().bytes(share);
        return new Slice(tensor, shard.rank() * bytes, bytes, Math.toIntExact(tensor.elements() / cols));
    }

    /** The weight {@code [rows, cols]} that slices of one type make up; the same one at each call. */
    private Weight loaded(String label, int rows, int cols, Supplier<List<Slice>> parts) {
        Weight known = matrices.get(label);
        if (known != null) {
            if (known.rows() != rows || known.cols() != cols) {
                throw new IllegalArgumentException(label + " is wanted as " + rows + " x " + cols + " and is "
                        + known.rows() + " x " + known.cols());
            }
            return known;
        }
        List<Slice> slices = parts.get();
        DType type = slices.getFirst().tensor.type();
        MemorySegment copy = copied(slices, Math.multiplyExact(type.bytes(cols), (long) rows));
        Weight weight = backend.load(copy, type, rows, cols, label);
        matrices.put(label, weight);
        plain &= type == DType.F32;
        slices.forEach(slice -> report(slice.tensor));
        return weight;
    }

    /**
     * This rank's rows of the matrices {@code [rows, cols]} of {@code count} experts, one below the other, as one weight: the
     * file has one tensor {@code [count, rows, cols]}, or one of each expert.
     *
     * @param at what stands before the expert's number in the tensors' names
     * @param name what stands behind it
     */
    public Weight expertsColumnParallel(String at, String name, int count, int rows, int cols) {
        int share = rows / shard.ranks();
        return loaded(part(at + name), Math.multiplyExact(count, share), cols, () -> {
            List<WeightTensor> tensors = expertTensors(at, name, count, rows, cols);
            int matrices = count / tensors.size();
            return tensors.stream().map(t -> rowsOfEach(t, matrices)).toList();
        });
    }

    /** This rank's columns of such matrices. */
    public Weight expertsRowParallel(String at, String name, int count, int rows, int cols) {
        int share = cols / shard.ranks();
        return loaded(
                part(at + name),
                Math.multiplyExact(count, rows),
                share,
                () -> expertTensors(at, name, count, rows, cols).stream()
                        .map(tensor -> columns(tensor, share))
                        .toList());
    }

    /** This rank's rows of each of the matrices that a tensor holds. */
    private Slice rowsOfEach(WeightTensor tensor, int matrices) {
        long bytes = tensor.data().byteSize() / matrices / shard.ranks();
        return new Slice(tensor, shard.rank() * bytes, bytes, matrices);
    }

    private List<WeightTensor> expertTensors(String at, String name, int count, int rows, int cols) {
        if (source.find(at + name) != null) {
            return List.of(shaped(at + name, count, rows, cols));
        }
        List<WeightTensor> tensors = new ArrayList<>();
        for (int e = 0; e < count; e++) {
            WeightTensor tensor = shaped(at + e + "." + name, rows, cols);
            tensors.add(tensor);
            DType first = tensors.getFirst().type();
            if (tensor.type() != first) {
                throw new WeightsException(
                        source.path(),
                        "tensor " + tensor.name() + " is " + tensor.type() + ", that of the first expert " + first
                                + "; experts of one type are supported");
            }
        }
        return tensors;
    }

    /**
     * The slices one after the other, and zeros up to so many bytes: a file that shrinks is an exception here, and would
     * be a fault in native code.
     */
    private MemorySegment copied(List<Slice> slices, long bytes) {
        MemorySegment copy = staged(bytes);
        long at = 0;
        for (Slice slice : slices) {
            try {
                slice.copyTo(copy, at);
            } catch (InternalError e) {
                throw new WeightsException(
                        source.path(),
                        -1,
                        "tensor " + slice.tensor.name() + " cannot be read; the file was cut meanwhile",
                        e);
            }
            at += slice.bytes * slice.pieces;
        }
        copy.asSlice(at).fill((byte) 0);
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
        return vectors(Shard.WHOLE, List.of(name), size);
    }

    /** This rank's part of the bias of column-parallel matrices that are stacked: {@code [1, sum of sizes / ranks]}. */
    public Tensor columnParallel(List<String> names, int... sizes) {
        return vectors(shard, names, sizes);
    }

    private Tensor vectors(Shard shard, List<String> names, int... sizes) {
        String label = String.join("+", names);
        Tensor known = vectors.get(label);
        if (known != null) {
            return known;
        }
        float[] values = new float[Arrays.stream(sizes).sum() / shard.ranks()];
        int at = 0;
        for (int i = 0; i < sizes.length; i++) {
            WeightTensor tensor = shaped(names.get(i), sizes[i]);
            int share = sizes[i] / shard.ranks();
            floats(tensor, shard.rank() * share, share, values, at);
            at += share;
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

    private void floats(WeightTensor tensor, int from, int n, float[] to, int at) {
        try {
            for (int i = 0; i < n; i++) {
                to[at + i] = tensor.number((long) from + i);
            }
        } catch (IllegalArgumentException e) {
            throw new WeightsException(
                    source.path(), -1, "tensor " + tensor.name() + " is a vector " + e.getMessage(), e);
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
