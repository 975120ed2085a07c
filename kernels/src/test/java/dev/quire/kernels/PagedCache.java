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
    private final int headBytes;
    private final int valueOffset;

    PagedCache(int blocks, int blockTokens, int kvHeads, int headDim, KvType type) {
        this.blocks = blocks;
        this.blockTokens = blockTokens;
        this.kvHeads = kvHeads;
        this.headDim = headDim;
        this.type = type;
        headBytes = blockTokens * (headDim * type.bytes() + (type.scaled() ? Float.BYTES : 0));
        int size = blocks * kvHeads * headBytes;
        valueOffset = (size + 63) / 64 * 64;
        bytes = ByteBuffer.allocate(valueOffset + size).order(ByteOrder.LITTLE_ENDIAN);
    }

    PagedCache randomise(long seed) {
        Random random = new Random(seed);
        for (int slot = 0; slot < blocks * blockTokens; slot++) {
            for (int h = 0; h < kvHeads; h++) {
                for (int from = 0; from <= valueOffset; from += valueOffset) {
                    if (type.scaled()) {
                        bytes.putFloat(
                                scaleAt(from, slot, h), (random.nextFloat() + 0.2f) / (type == KvType.INT8 ? 64 : 256));
                    }
                    for (int i = 0; i < headDim; i++) {
                        randomise(from == 0 ? keyAt(slot, h, i) : valueAt(slot, h, i), random);
                    }
                }
            }
        }
        return this;
    }

    private void randomise(int at, Random random) {
        float value = (float) random.nextGaussian();
        switch (type) {
            case F32 -> bytes.putFloat(at, value);
            case BF16 -> bytes.putShort(at, (short) (Float.floatToIntBits(bfloat16(value)) >>> 16));
            case INT8 -> bytes.put(at, (byte) (random.nextInt(255) - 127));
            case FP8 -> bytes.put(at, (byte) (random.nextInt(127) | random.nextInt(2) << 7));
        }
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

    /** Element i of a key. */
    float key(int slot, int head, int i) {
        return element(keyAt(slot, head, i)) * (type.scaled() ? keyScale(slot, head) : 1);
    }

    /** Element i of a value. */
    float value(int slot, int head, int i) {
        return element(valueAt(slot, head, i)) * (type.scaled() ? valueScale(slot, head) : 1);
    }

    float keyScale(int slot, int head) {
        return bytes.getFloat(scaleAt(0, slot, head));
    }

    float valueScale(int slot, int head) {
        return bytes.getFloat(scaleAt(valueOffset, slot, head));
    }

    private int headAt(int from, int slot, int head) {
        return from + (slot / blockTokens * kvHeads + head) * headBytes;
    }

    private int scaleAt(int from, int slot, int head) {
        return headAt(from, slot, head) + blockTokens * headDim + slot % blockTokens * Float.BYTES;
    }

    private int keyAt(int slot, int head, int i) {
        int p = slot % blockTokens;
        int plain = i * blockTokens + p;
        int paired = (i / 2 * blockTokens + p) * 2 + i % 2;
        return headAt(0, slot, head) + (type == KvType.F32 ? plain : paired) * type.bytes();
    }

    private int valueAt(int slot, int head, int i) {
        int p = slot % blockTokens;
        int plain = p * headDim + i;
        int paired = (p / 2 * headDim + i) * 2 + p % 2;
        return headAt(valueOffset, slot, head) + (type == KvType.F32 ? plain : paired) * type.bytes();
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

    private float element(int at) {
        return switch (type) {
            case F32 -> bytes.getFloat(at);
            case BF16 -> Float.intBitsToFloat(bytes.getShort(at) << 16);
            case INT8 -> bytes.get(at);
            case FP8 -> e4m3(bytes.get(at));
        };
    }

    /** A number of E4M3, from its bits. */
    static float e4m3(byte code) {
        int exponent = code >> 3 & 15;
        int mantissa = code & 7;
        double magnitude = exponent == 0 ? mantissa * 0x1p-9 : (8 + mantissa) * Math.pow(2, exponent - 10);
        return (float) (code < 0 ? -magnitude : magnitude);
    }
}
