package dev.quire.kernels;

import dev.quire.kernels.Op.KvLayer;
import dev.quire.kernels.Op.KvType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;

/** A layer of the KV cache as plain arrays, keys first and then values, with the layout of quire.h spelt out. */
final class PagedCache {
    final int blocks;
    final int blockTokens;
    final int kvHeads;
    final int headDim;
    final KvType type;
    final ByteBuffer bytes;
    private final int valueOffset;

    PagedCache(int blocks, int blockTokens, int kvHeads, int headDim, KvType type) {
        this.blocks = blocks;
        this.blockTokens = blockTokens;
        this.kvHeads = kvHeads;
        this.headDim = headDim;
        this.type = type;
        int size = blocks * blockTokens * kvHeads * headDim * type.bytes();
        valueOffset = (size + 63) / 64 * 64;
        bytes = ByteBuffer.allocate(valueOffset + size).order(ByteOrder.LITTLE_ENDIAN);
    }

    PagedCache randomise(long seed) {
        Random random = new Random(seed);
        for (int slot = 0; slot < blocks * blockTokens; slot++) {
            for (int h = 0; h < kvHeads; h++) {
                for (int i = 0; i < headDim; i++) {
                    put(key(slot, h, i), (float) random.nextGaussian());
                    put(value(slot, h, i), (float) random.nextGaussian());
                }
            }
        }
        return this;
    }

    KvLayer upload(Rig rig) {
        Buffer buffer = rig.buffer("cache", bytes.array());
        return new KvLayer(buffer, 0, valueOffset, blocks, blockTokens, kvHeads, headDim, type);
    }

    /** The same shape with the content of a device's buffer. */
    PagedCache download(Rig rig, KvLayer layer) {
        PagedCache copy = new PagedCache(blocks, blockTokens, kvHeads, headDim, type);
        copy.bytes.put(0, rig.read(layer.buffer()));
        return copy;
    }

    int key(int slot, int head, int i) {
        int block = slot / blockTokens;
        return (((block * kvHeads + head) * headDim + i) * blockTokens + slot % blockTokens) * type.bytes();
    }

    int value(int slot, int head, int i) {
        int block = slot / blockTokens;
        return valueOffset
                + (((block * kvHeads + head) * blockTokens + slot % blockTokens) * headDim + i) * type.bytes();
    }

    float get(int at) {
        return type == KvType.F32 ? bytes.getFloat(at) : Float.float16ToFloat(bytes.getShort(at));
    }

    private void put(int at, float value) {
        if (type == KvType.F32) {
            bytes.putFloat(at, value);
        } else {
            bytes.putShort(at, Float.floatToFloat16(value));
        }
    }
}
