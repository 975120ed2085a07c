package dev.quire.model.weights;

import dev.quire.kernels.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.LongUnaryOperator;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * A folder with {@code model.safetensors}, or shards and their {@code model.safetensors.index.json}, mapped into memory.
 * The files are untrusted: header length, shapes and ranges are checked before use, and ranges may not overlap.
 *
 * <p>Immutable after {@link #open}; any thread may read, and no thread may read tensors after {@link #close}.
 */
public final class SafetensorsDirectory implements AutoCloseable {
    private static final String SINGLE = "model.safetensors";
    private static final String INDEX = "model.safetensors.index.json";
    private static final int MAX_HEADER_BYTES = 64 << 20;
    private static final int MAX_SHARDS = 1 << 10;
    private static final int MAX_TENSORS = 1 << 17;
    private static final int MAX_RANK = 8;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private record Range(String tensor, long begin, long end) {}

    private final Path path;
    private final Arena arena = Arena.ofShared();
    private final Map<String, WeightTensor> tensors = new LinkedHashMap<>();
    private final Map<String, Float8Tensor> float8s = new LinkedHashMap<>();

    private SafetensorsDirectory(Path path) {
        this.path = path;
    }

    /**
     * Maps the files of a folder and reads their headers.
     *
     * @throws WeightsException when a file is missing, cannot be read, or is not sound
     */
    public static SafetensorsDirectory open(Path folder) {
        SafetensorsDirectory directory = new SafetensorsDirectory(folder);
        try {
            directory.read();
            return directory;
        } catch (RuntimeException e) {
            directory.close();
            throw e;
        }
    }

    private void read() {
        if (Files.exists(path.resolve(SINGLE))) {
            readFile(path.resolve(SINGLE));
            return;
        }
        Path index = path.resolve(INDEX);
        if (!Files.exists(index)) {
            throw new WeightsException(path, "holds neither " + SINGLE + " nor " + INDEX);
        }
        for (String shard : shards(index)) {
            readFile(path.resolve(shard));
        }
    }

    private static Set<String> shards(Path index) {
        JsonNode map = ModelJson.read(index, MAX_HEADER_BYTES).path("weight_map");
        if (!map.isObject() || map.isEmpty()) {
            throw new WeightsException(index, "lacks weight_map");
        }
        Set<String> shards = new TreeSet<>();
        for (Map.Entry<String, JsonNode> e : map.properties()) {
            String name = e.getValue().isString() ? e.getValue().stringValue() : "";
            if (!name.matches("[A-Za-z0-9][A-Za-z0-9._-]*\\.safetensors")) { // a plain name cannot leave the folder
                throw new WeightsException(index, "weight_map names a strange file for " + e.getKey() + ": " + name);
            }
            shards.add(name);
            if (shards.size() > MAX_SHARDS) {
                throw new WeightsException(index, "weight_map names more than " + MAX_SHARDS + " files");
            }
        }
        return shards;
    }

    private void readFile(Path file) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            readMapped(file, channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena));
        } catch (IOException e) {
            throw new WeightsException(file, -1, "cannot be read: " + e, e);
        }
    }

    private void readMapped(Path file, MemorySegment bytes) {
        if (bytes.byteSize() < Long.BYTES) {
            throw new WeightsException(file, 0, "is too short for a safetensors file: " + bytes.byteSize() + " bytes");
        }
        long length = bytes.get(LONG, 0);
        long most = Math.min(MAX_HEADER_BYTES, bytes.byteSize() - Long.BYTES);
        if (length < 2 || length > most) {
            throw new WeightsException(
                    file, 0, "header length is " + Long.toUnsignedString(length) + ", allowed are 2 to " + most);
        }
        byte[] header = bytes.asSlice(Long.BYTES, length).toArray(ValueLayout.JAVA_BYTE);
        MemorySegment data = bytes.asSlice(Long.BYTES + length);
        List<Range> ranges = new ArrayList<>();
        for (Map.Entry<String, JsonNode> e : ModelJson.parse(file, header).properties()) {
            if (!e.getKey().equals("__metadata__")) {
                ranges.add(add(file, data, e.getKey(), e.getValue()));
            }
        }
        checkOverlaps(file, ranges);
    }

    private Range add(Path file, MemorySegment data, String name, JsonNode entry) {
        boolean float8 = entry.path("dtype").asString("").equals("F8_E4M3");
        DType type = float8 ? DType.F8_E4M3 : type(file, name, entry.path("dtype"));
        long[] shape = longs(file, name, "shape", entry.path("shape"), MAX_RANK);
        long[] offsets = longs(file, name, "data_offsets", entry.path("data_offsets"), 2);
        if (offsets.length != 2 || offsets[0] > offsets[1] || offsets[1] > data.byteSize()) {
            throw new WeightsException(
                    file,
                    "tensor " + name + ": data_offsets should be a range within the " + data.byteSize()
                            + " bytes after the header");
        }
        long bytes = bytes(file, name, float8 ? n -> n : type::bytes, shape);
        if (bytes != offsets[1] - offsets[0]) {
            throw new WeightsException(
                    file,
                    "tensor " + name + " has " + (offsets[1] - offsets[0])
                            + " bytes of data, its shape and dtype ask for " + bytes);
        }
        MemorySegment slice = data.asSlice(offsets[0], bytes);
        if (tensors.size() + float8s.size() >= MAX_TENSORS) {
            throw new WeightsException(file, "has more than " + MAX_TENSORS + " tensors");
        }
        if (tensors.containsKey(name) || float8s.containsKey(name)) {
            throw new WeightsException(file, "tensor " + name + " appears twice");
        }
        if (float8) {
            float8s.put(name, new Float8Tensor(name, shape, slice));
        } else {
            tensors.put(name, new WeightTensor(name, type, shape, slice));
        }
        return new Range(name, offsets[0], offsets[1]);
    }

    private static DType type(Path file, String name, JsonNode dtype) {
        String text = dtype.isString() ? dtype.stringValue() : "";
        return switch (text) {
            case "F32" -> DType.F32;
            case "F16" -> DType.F16;
            case "BF16" -> DType.BF16;
            default ->
                throw new WeightsException(
                        file,
                        "tensor " + name + " has dtype " + shown(text) + "; supported are F32, F16, BF16, F8_E4M3");
        };
    }

    private static long[] longs(Path file, String name, String field, JsonNode array, int most) {
        if (!array.isArray() || array.size() > most) {
            throw new WeightsException(
                    file, "tensor " + name + ": " + field + " should be an array of at most " + most + " integers");
        }
        long[] values = new long[array.size()];
        for (int i = 0; i < values.length; i++) {
            JsonNode v = array.get(i);
            if (!v.isIntegralNumber() || !v.canConvertToLong() || v.longValue() < 0) {
                throw new WeightsException(
                        file, "tensor " + name + ": " + field + " holds a number that is not a size");
            }
            values[i] = v.longValue();
        }
        return values;
    }

    private static String shown(String text) {
        return text.length() <= 64 ? text : text.substring(0, 64) + "…";
    }

    private static long bytes(Path file, String name, LongUnaryOperator bytes, long[] shape) {
        long n = 1;
        try {
            for (long d : shape) {
                n = Math.multiplyExact(n, d);
            }
            return bytes.applyAsLong(n);
        } catch (ArithmeticException _) {
            throw new WeightsException(file, "tensor " + name + ": the product of its shape overflows 64 bits");
        }
    }

    private static void checkOverlaps(Path file, List<Range> ranges) {
        ranges.sort(Comparator.comparingLong(Range::begin).thenComparingLong(Range::end));
        for (int i = 1; i < ranges.size(); i++) {
            Range before = ranges.get(i - 1);
            Range range = ranges.get(i);
            if (range.begin < before.end) {
                throw new WeightsException(
                        file, range.begin, "tensors " + before.tensor + " and " + range.tensor + " overlap");
            }
        }
    }

    /** The folder. */
    public Path path() {
        return path;
    }

    /** A tensor by name, or null. */
    public @Nullable WeightTensor tensor(String name) {
        return tensors.get(name);
    }

    /** A matrix of 8-bit floats by name, or null. */
    @Nullable
    Float8Tensor float8(String name) {
        return float8s.get(name);
    }

    /** Bytes of all tensors together. */
    public long bytes() {
        return tensors.values().stream().mapToLong(t -> t.data().byteSize()).sum()
                + float8s.values().stream().mapToLong(t -> t.codes().byteSize()).sum();
    }

    /** Unmaps the files; their tensors may not be read afterwards. */
    @Override
    public void close() {
        arena.close();
    }
}
