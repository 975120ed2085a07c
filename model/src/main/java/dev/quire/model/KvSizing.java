package dev.quire.model;

import dev.quire.kernels.Op;
import dev.quire.kvcache.KvConfig;
import dev.quire.kvcache.KvStore;
import dev.quire.model.arch.ModelConfig;
import java.util.List;
import java.util.OptionalLong;

/** Decides the KV cache's element type and size. */
final class KvSizing {
    static final double SHARE = 0.4;
    // A start without flags should not claim a large machine's memory, nor more than a busy small server fills:
    static final long CEILING = 4L << 30;
    static final int POSITIONS = 40 * 1024;
    static final long MAX_BLOCKS = 1 << 21; // each has a few dozen bytes of books on the Java heap
    static final long UNKNOWN = 1L << 30; // where the machine does not say what it has

    private static final List<String> NAMES = List.of("auto", "bf16", "bfloat16", "int8", "fp8", "fp8_e4m3", "f32");

    private KvSizing() {}

    /** {@code auto} keeps exact what is to be exact, and halves the memory of anything else. */
    static Op.KvType type(String name, boolean exact) {
        return switch (name) {
            case "bf16", "bfloat16" -> Op.KvType.BF16;
            case "int8" -> Op.KvType.INT8;
            case "fp8", "fp8_e4m3" -> Op.KvType.FP8;
            case "f32" -> Op.KvType.F32;
            case "auto" -> exact ? Op.KvType.F32 : Op.KvType.BF16;
            default ->
                throw new IllegalArgumentException("kvType is '" + name + "', allowed: " + String.join(", ", NAMES));
        };
    }

    /** The shortest name of a type. */
    static String name(Op.KvType type) {
        return switch (type) {
            case F32 -> "f32";
            case BF16 -> "bf16";
            case INT8 -> "int8";
            case FP8 -> "fp8";
        };
    }

    static KvStore.Shape shape(ModelConfig config, Op.KvType type) {
        return new KvStore.Shape(config.layers(), config.kvHeads(), config.headDim(), type);
    }

    /** Positions of one sequence: what was asked for, at most what the model was trained for. */
    static int maxModelLen(ModelConfig config, LoadOptions options) {
        int asked = options.maxModelLen();
        if (asked < 0 || asked > config.maxPositions()) {
            throw new IllegalArgumentException("max-model-len is " + asked + ", allowed: 0 (the model's own) to "
                    + config.maxPositions() + ", for which the model was trained");
        }
        return asked == 0 ? config.maxPositions() : asked;
    }

    /**
     * The size: what was asked for, or what is sensible.
     *
     * @param available bytes that may still be taken; empty where nobody knows
     * @throws IllegalArgumentException when not even one sequence of {@code maxModelLen} fits, or more was asked for than
     *     is available
     */
    static KvConfig size(KvStore.Shape shape, LoadOptions options, int maxModelLen, OptionalLong available) {
        long block = shape.blockBytes(options.blockTokens());
        long one = Math.multiplyExact(block, (long) Math.ceilDiv(maxModelLen, options.blockTokens()));
        long share = available.isPresent() ? (long) (available.getAsLong() * SHARE) : UNKNOWN;
        long ceiling = Math.min(CEILING, Math.multiplyExact(block, POSITIONS / options.blockTokens()));
        return size(block, options, maxModelLen, available, Math.min(share, Math.max(ceiling, one)));
    }

    /**
     * The size on a device with memory of its own, where all else is allotted: what was asked for, or what the share of
     * the memory that this process may take leaves.
     *
     * @param free bytes that may still be allotted
     * @param total bytes of the device
     * @throws IllegalArgumentException as for {@link #size}
     */
    static KvConfig sizeOnDevice(KvStore.Shape shape, LoadOptions options, int maxModelLen, long free, long total) {
        long others = total - free;
        long share = Math.max(0, (long) (total * options.gpuMemoryUtilization()) - others);
        return size(shape.blockBytes(options.blockTokens()), options, maxModelLen, OptionalLong.of(free), share);
    }

    /**
     * A pool with the tier below it that was asked for.
     *
     * @param available bytes of the host that may still be taken; empty where nobody knows
     * @throws IllegalArgumentException when more was asked for than is available, or less than a block
     */
    static KvConfig withHost(KvConfig kv, KvStore.Shape shape, long bytes, OptionalLong available) {
        if (bytes == 0) {
            return kv;
        }
        if (available.isPresent() && bytes > available.getAsLong()) {
            throw new IllegalArgumentException("kv-offloading-size is " + bytes + " bytes, but this process may take "
                    + available.getAsLong() + " more of the host's memory");
        }
        long block = shape.blockBytes(kv.blockTokens());
        long most = Math.min(MAX_BLOCKS, Integer.MAX_VALUE / kv.blockTokens() - kv.blocks());
        long blocks = Math.min(bytes / block, most);
        if (blocks < 1) {
            throw new IllegalArgumentException(
                    "kv-offloading-size is " + bytes + " bytes, a block of the KV cache takes " + block);
        }
        return new KvConfig(kv.blocks(), kv.blockTokens(), (int) blocks);
    }

    private static KvConfig size(long block, LoadOptions options, int maxModelLen, OptionalLong available, long share) {
        long perSequence = Math.ceilDiv(maxModelLen, options.blockTokens());
        long bytes = options.kvCacheBytes();
        if (bytes == 0) {
            bytes = Math.min(share, Math.multiplyExact(block, perSequence * options.maxSequences()));
        } else if (available.isPresent() && bytes > available.getAsLong()) {
            // The whole cache is populated soon after the start: what is not there would end the process then.
            throw new IllegalArgumentException("kv-cache-memory-bytes is " + bytes + ", but this process may take "
                    + available.getAsLong() + " more");
        }
        long blocks = Math.min(bytes / block, Math.min(MAX_BLOCKS, Integer.MAX_VALUE / options.blockTokens()));
        if (blocks < perSequence) {
            throw new IllegalArgumentException(advice(options, maxModelLen, block * perSequence, bytes, blocks));
        }
        return new KvConfig((int) blocks, options.blockTokens());
    }

    private static String advice(LoadOptions options, int maxModelLen, long needed, long bytes, long blocks) {
        long fitting = blocks * options.blockTokens();
        return "one sequence of " + maxModelLen + " tokens needs " + needed + " bytes of KV cache, there are " + bytes
                + "; set --kv-cache-memory-bytes to at least " + needed
                + (fitting > 0 ? ", or --max-model-len to at most " + fitting : "");
    }
}
