package dev.quire.model.weights;

import dev.quire.kernels.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A GGUF file, version 2 or 3, little-endian, mapped into memory. The file is untrusted: every count, length, offset and
 * dimension is checked before it is used, and memory stays within a small multiple of the file's metadata.
 *
 * <p>Immutable after {@link #open}; any thread may read, and no thread may read tensors after {@link #close}.
 */
public final class GgufFile implements AutoCloseable {
    private static final int MAGIC = 0x46554747;
    private static final int MAX_TENSORS = 1 << 16;
    private static final int MAX_KEYS = 1 << 16;
    private static final int MAX_NAME_BYTES = 1 << 10;
    private static final int MAX_DIMENSIONS = 4;
    private static final int MAX_ALIGNMENT = 1 << 20;

    private record Header(String name, DType type, long[] shape, long offset, long bytes, long at) {}

    private final Path path;
    private final Arena arena;
    private final GgufMetadata metadata;
    private final Map<String, WeightTensor> tensors;

    private GgufFile(Path path, Arena arena, GgufMetadata metadata, Map<String, WeightTensor> tensors) {
        this.path = path;
        this.arena = arena;
        this.metadata = metadata;
        this.tensors = tensors;
    }

    /**
     * Maps the file and reads all but the tensors' elements.
     *
     * @throws WeightsException when the file cannot be read or is not sound
     */
    public static GgufFile open(Path path) {
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            MemorySegment bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            return parse(path, arena, bytes);
        } catch (IOException e) {
            arena.close();
            throw new WeightsException(path, -1, "cannot be read: " + e, e);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    private static GgufFile parse(Path path, Arena arena, MemorySegment bytes) {
        GgufReader in = new GgufReader(path, bytes);
        int magic = in.int32("magic number");
        if (magic != MAGIC) {
            throw in.wrong(0, String.format("not a GGUF file: it begins with 0x%08x, not 0x%08x", magic, MAGIC));
        }
        int version = in.int32("version");
        if (version != 2 && version != 3) {
            throw in.wrong(
                    4,
                    "GGUF version " + Integer.toUnsignedString(version)
                            + (Integer.reverseBytes(version) == 3 ? " (big-endian)" : "")
                            + " is not supported, versions 2 and 3 are");
        }
        int tensorCount = in.count("number of tensors", MAX_TENSORS);
        int keyCount = in.count("number of metadata keys", MAX_KEYS);
        GgufMetadata metadata = new GgufMetadata(path, metadata(in, keyCount));
        int alignment = alignment(path, metadata);
        Map<String, Header> headers = headers(in, tensorCount, alignment);
        long base = Math.ceilDiv(in.at(), (long) alignment) * alignment;
        return new GgufFile(path, arena, metadata, tensors(in, bytes, base, headers));
    }

    private static Map<String, Object> metadata(GgufReader in, int count) {
        Map<String, Object> values = new LinkedHashMap<>();
        for (int i = 0; i < count; i++) {
            long at = in.at();
            String key = in.string("metadata key " + i, MAX_NAME_BYTES);
            if (values.put(key, in.value(key)) != null) {
                throw in.wrong(at, "metadata key " + key + " appears twice");
            }
        }
        return Collections.unmodifiableMap(values);
    }

    private static int alignment(Path path, GgufMetadata metadata) {
        int alignment = metadata.intValue("general.alignment", 32);
        if (alignment < 8 || alignment > MAX_ALIGNMENT || Integer.bitCount(alignment) != 1) {
            throw new WeightsException(
                    path,
                    "general.alignment is " + alignment + ", allowed are powers of two from 8 to " + MAX_ALIGNMENT);
        }
        return alignment;
    }

    private static Map<String, Header> headers(GgufReader in, int count, int alignment) {
        Map<String, Header> headers = new LinkedHashMap<>();
        for (int i = 0; i < count; i++) {
            Header header = header(in, i, alignment);
            if (headers.put(header.name, header) != null) {
                throw in.wrong(header.at, "tensor " + header.name + " appears twice");
            }
        }
        return headers;
    }

    private static Header header(GgufReader in, int index, int alignment) {
        long at = in.at();
        String name = in.string("name of tensor " + index, MAX_NAME_BYTES);
        int rank = in.int32("rank of tensor " + name);
        if (rank < 1 || rank > MAX_DIMENSIONS) {
            throw in.wrong(
                    at,
                    "tensor " + name + " has " + Integer.toUnsignedString(rank) + " dimensions, allowed are 1 to "
                            + MAX_DIMENSIONS);
        }
        long[] shape = new long[rank];
        for (int d = rank - 1; d >= 0; d--) { // the file has the innermost dimension first
            shape[d] = in.int64("dimensions of tensor " + name);
        }
        DType type = type(in, in.int32("type of tensor " + name), name, at);
        long offset = in.int64("offset of tensor " + name);
        if (offset < 0 || offset % alignment != 0) {
            throw in.wrong(
                    at,
                    "tensor " + name + " has offset " + Long.toUnsignedString(offset) + ", which is not a multiple of "
                            + alignment);
        }
        return new Header(name, type, shape, offset, tensorBytes(in, type, shape, name, at), at);
    }

    private static DType type(GgufReader in, int code, String name, long at) {
        for (DType type : DType.values()) {
            if (type.code() == code && type != DType.F8_E4M3) {
                return type;
            }
        }
        throw in.wrong(
                at,
                "tensor " + name + " has type number " + Integer.toUnsignedString(code)
                        + "; supported are F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K Q6_K");
    }

    private static long tensorBytes(GgufReader in, DType type, long[] shape, String name, long at) {
        long rows = 1;
        try {
            for (int d = 0; d < shape.length; d++) {
                if (shape[d] < 1) {
                    throw in.wrong(at, "tensor " + name + " has dimension " + Long.toUnsignedString(shape[d]));
                }
                rows = d == shape.length - 1 ? rows : Math.multiplyExact(rows, shape[d]);
            }
            return Math.multiplyExact(rows, type.bytes(shape[shape.length - 1]));
        } catch (ArithmeticException _) {
            throw in.wrong(at, "tensor " + name + ": the product of its dimensions overflows 64 bits");
        } catch (IllegalArgumentException e) {
            throw in.wrong(at, "tensor " + name + ": " + e.getMessage());
        }
    }

    private static Map<String, WeightTensor> tensors(
            GgufReader in, MemorySegment bytes, long base, Map<String, Header> headers) {
        Map<String, WeightTensor> tensors = new LinkedHashMap<>();
        for (Header h : headers.values()) {
            long room = bytes.byteSize() - base;
            if (h.offset > room || h.bytes > room - h.offset) {
                throw in.wrong(
                        h.at,
                        "tensor " + h.name + " needs " + h.bytes + " bytes from byte " + base + " + " + h.offset
                                + ", the file ends at " + bytes.byteSize());
            }
            tensors.put(h.name, new WeightTensor(h.name, h.type, h.shape, bytes.asSlice(base + h.offset, h.bytes)));
        }
        return Collections.unmodifiableMap(tensors);
    }

    /** The file. */
    public Path path() {
        return path;
    }

    /** Keys and values. */
    public GgufMetadata metadata() {
        return metadata;
    }

    /** All tensors by their name in the file, in the file's order. */
    public Map<String, WeightTensor> tensors() {
        return tensors;
    }

    /** A tensor by its name in the file, or null. */
    public @Nullable WeightTensor tensor(String name) {
        return tensors.get(name);
    }

    /** Bytes of all tensors together. */
    public long bytes() {
        return tensors.values().stream().mapToLong(t -> t.data().byteSize()).sum();
    }

    /** Unmaps the file; its tensors may not be read afterwards. */
    @Override
    public void close() {
        arena.close();
    }
}
