package dev.quire.kernels;

import dev.quire.kernels.Op.KvLayer;
import dev.quire.kernels.Op.KvType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The paged cache of {@link JavaBackend}: heads of keys and values in each of the types of quire.h. */
final class JavaCache {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
    private static final ValueLayout.OfShort HALF = ValueLayout.JAVA_SHORT;
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final float MAX_INT8 = 127;
    private static final float MAX_E4M3 = 448;
    private static final double TOO_SMALL = 0x1p-100; // what quire.h's libraries store as zeros

    private JavaCache() {}

    /** Writes a head, {@code row[from..]}, of the keys or the values that begin at {@code offset}. */
    static void write(KvLayer c, long offset, int slot, int head, float[] row, int from) {
        MemorySegment memory = ((DeviceBuffer) c.buffer()).segment();
        long base = offset + base(c, slot, head);
        float scale = c.type().scaled() ? scale(row, from, c.headDim(), c.type()) : 0;
        for (int i = 0; i < c.headDim(); i++) {
            long at = base + element(c, offset, slot, i) * c.type().bytes();
            float value = row[from + i];
            switch (c.type()) {
                case F32 -> memory.set(FLOAT, at, value);
                case BF16 -> memory.set(HALF, at, (short) (Float.floatToRawIntBits(bfloat16(value)) >>> 16));
                case INT8 -> memory.set(BYTE, at, (byte) Math.rint(unscaled(value, scale)));
                case FP8 -> memory.set(BYTE, at, e4m3(unscaled(value, scale)));
            }
        }
        if (c.type().scaled()) {
            memory.set(FLOAT, base + scaleOffset(c, slot), scale);
        }
    }

    /** Reads a head of the keys or the values that begin at {@code offset}. */
    static void read(KvLayer c, long offset, int slot, int head, float[] values) {
        MemorySegment memory = ((DeviceBuffer) c.buffer()).segment();
        long base = offset + base(c, slot, head);
        float scale = c.type().scaled() ? memory.get(FLOAT, base + scaleOffset(c, slot)) : 0;
        for (int i = 0; i < c.headDim(); i++) {
            long at = base + element(c, offset, slot, i) * c.type().bytes();
            values[i] = switch (c.type()) {
                case F32 -> memory.get(FLOAT, at);
                case BF16 -> Float.intBitsToFloat(memory.get(HALF, at) << 16);
                case INT8 -> memory.get(BYTE, at) * scale;
                case FP8 -> Dequantiser.e4m3(memory.get(BYTE, at)) * scale;
            };
        }
    }

    /** Bytes from the begin of the layer's keys, or values, to a head of a slot's block. */
    private static long base(KvLayer c, int slot, int head) {
        long block = KvLayer.blockBytes(c.blockTokens(), c.kvHeads(), c.headDim(), c.type());
        return slot / c.blockTokens() * block + head * (block / c.kvHeads());
    }

    private static long scaleOffset(KvLayer c, int slot) {
        return (long) c.headDim() * c.blockTokens() + (long) slot % c.blockTokens() * Float.BYTES;
    }

    /** Place of element i of a slot in a head of its block. */
    private static long element(KvLayer c, long offset, int slot, int i) {
        int position = slot % c.blockTokens();
        return offset == c.keyOffset()
                ? paired(c.type(), i, position, c.blockTokens())
                : paired(c.type(), position, i, c.headDim());
    }

    /** Place of (row, column) where two rows lie side by side in pairs, but for float32. */
    private static long paired(KvType type, int row, int column, int columns) {
        return type == KvType.F32 ? (long) row * columns + column : ((long) row / 2 * columns + column) * 2 + row % 2;
    }

    private static float scale(float[] row, int from, int n, KvType type) {
        float largest = 0;
        for (int i = from; i < from + n; i++) {
            largest = Math.max(largest, Math.abs(row[i]));
        }
        return largest / (type == KvType.INT8 ? MAX_INT8 : MAX_E4M3);
    }

    private static double unscaled(float value, float scale) {
        return scale > TOO_SMALL ? (double) value / scale : 0;
    }

    /** The nearest bfloat16, even on ties. */
    static float bfloat16(float value) {
        int bits = Float.floatToIntBits(value); // one NaN, whose low half is 0
        return Float.intBitsToFloat(Float.isNaN(value) ? bits : bits + 0x7fff + (bits >>> 16 & 1) & 0xffff0000);
    }

    /** The nearest E4M3 number of a magnitude up to about 448, even on ties. */
    private static byte e4m3(double value) {
        double magnitude = Math.min(Math.abs(value), MAX_E4M3);
        int exponent = Math.max(Math.getExponent(magnitude), -6);
        long steps = (long) Math.rint(Math.scalb(magnitude, 3 - exponent)); // 8 to 16, less if subnormal
        long code = steps + (exponent + 6L) * 8;
        return (byte) (value < 0 ? code | 0x80 : code);
    }
}
