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
        int block = slot / blockTokens * kvHeads + head;
        int p = slot % blockTokens;
        int plain = (block * headDim + i) * blockTokens + p;
        int paired = ((block * headDim / 2 + i / 2) * blockTokens + p) * 2 + i % 2;
        return (type == KvType.F32 ? plain : paired) * type.bytes();
    }

    int value(int slot, int head, int i) {
        int block = slot / blockTokens * kvHeads + head;
        int p = slot % blockTokens;
        int plain = (block * blockTokens + p) * headDim + i;
        int paired = ((block * blockTokens / 2 + p / 2) * headDim + i) * 2 + p % 2;
        return valueOffset + (type == KvType.F32 ? plain : paired) * type.bytes();
    }

    /** The nearest bfloat16: what lies halfway goes to the even one. */
    static float bfloat16(float value) {
        float below = Float.intBitsToFloat(Float.floatToIntBits(value) & 0xffff0000);
        float above = Float.intBitsToFloat((Float.floatToIntBits(value) & 0xffff0000) + 0x10000);
        double down = Math.abs((double) value - below);
        double up = Math.abs((double) above - value);
        boolean even = (Float.floatToIntBits(below) & 0x10000) == 0;
        return down < up || (down == up && even) ? below : above;
    }

    float get(int at) {
        return type == KvType.F32 ? bytes.getFloat(at) : Float.intBitsToFloat(bytes.getShort(at) << 16);
    }

    private void put(int at, float value) {
        if (type == KvType.F32) {
            bytes.putFloat(at, value);
        } else {
            bytes.putShort(at, (short) (Float.floatToIntBits(bfloat16(value)) >>> 16));
        }
    }
}
