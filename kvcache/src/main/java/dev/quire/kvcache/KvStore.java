package dev.quire.kvcache;

import dev.quire.kernels.Backend;
import dev.quire.kernels.Buffer;
import dev.quire.kernels.Op;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The memory of the KV cache: for each layer a region of keys and a region of values, all in one buffer, so that a copy
 * of a block is one operation over all layers. Block ids are those of the {@link BlockTable}s; the layout inside a block
 * is the backend's ({@link Op.KvLayer}). Host blocks have a buffer of their own, in which a block is one piece.
 */
public final class KvStore implements AutoCloseable {
    /**
     * What a block holds.
     *
     * @param layers decoder layers
     * @param kvHeads key and value heads per layer
     * @param headDim elements per head
     * @param type element type
     */
    public record Shape(int layers, int kvHeads, int headDim, Op.KvType type) {
        /**
         * Bytes of one block in all layers, keys and values together.
         *
         * @throws ArithmeticException on overflow
         */
        public long blockBytes(int blockTokens) {
            return Math.multiplyExact(2L * layers, Op.KvLayer.blockBytes(blockTokens, kvHeads, headDim, type));
        }
    }

    private final Buffer buffer;
    private final @Nullable Buffer host;
    private final Shape shape;
    private final KvConfig config;
    private final long blockBytes;

    private KvStore(Buffer buffer, @Nullable Buffer host, Shape shape, KvConfig config) {
        this.buffer = buffer;
        this.host = host;
        this.shape = shape;
        this.config = config;
        blockBytes = Op.KvLayer.blockBytes(config.blockTokens(), shape.kvHeads, shape.headDim, shape.type);
    }

    /**
     * Allocates the memory, zeroed.
     *
     * @throws dev.quire.kernels.KernelException when there is not enough
     */
    public static KvStore allocate(Backend backend, Shape shape, KvConfig config) {
        long block = shape.blockBytes(config.blockTokens());
        Buffer buffer = backend.allocate(Math.multiplyExact(block, (long) config.blocks()), "kv cache");
        if (config.hostBlocks() == 0) {
            return new KvStore(buffer, null, shape, config);
        }
        try {
            long bytes = Math.multiplyExact(block, (long) config.hostBlocks());
            return new KvStore(buffer, backend.allocateHost(bytes, "kv cache on the host"), shape, config);
        } catch (RuntimeException e) {
            buffer.close();
            throw e;
        }
    }

    /** The cache of one layer. */
    public Op.KvLayer layer(int index) {
        if (index < 0 || index >= shape.layers) {
            throw new IndexOutOfBoundsException("layer " + index + " of " + shape.layers);
        }
        long keys = 2L * index * regionBytes();
        return new Op.KvLayer(
                buffer,
                keys,
                keys + regionBytes(),
                config.blocks(),
                config.blockTokens(),
                shape.kvHeads,
                shape.headDim,
                shape.type);
    }

    /** Copies the step's pairs of blocks in all layers. */
    public Op.CopyBlocks copyBlocks() {
        return new Op.CopyBlocks(buffer, 2 * shape.layers, regionBytes(), blockBytes);
    }

    /** Moves the step's pairs of blocks between device and host; empty without host blocks. */
    public Optional<Op.SwapBlocks> swapBlocks() {
        return Optional.ofNullable(host)
                .map(memory -> new Op.SwapBlocks(
                        buffer, 2 * shape.layers, regionBytes(), blockBytes, memory, config.hostBlocks()));
    }

    private long regionBytes() {
        return blockBytes * config.blocks();
    }

    /** Size of the memory on the device in bytes. */
    public long bytes() {
        return buffer.bytes();
    }

    /** Frees the memory. */
    @Override
    public void close() {
        buffer.close();
        if (host != null) {
            host.close();
        }
    }
}
