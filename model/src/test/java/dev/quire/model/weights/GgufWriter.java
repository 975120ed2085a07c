package dev.quire.model.weights;

import dev.quire.kernels.DType;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Writes small GGUF files for tests: version 3, 32-byte alignment unless a key says otherwise. */
public final class GgufWriter {
    private record Entry(String name, DType type, long[] shape, byte[] data) {}

    private final ByteArrayOutputStream keys = new ByteArrayOutputStream();
    private final List<Entry> tensors = new ArrayList<>();
    private int keyCount;

    /** Adds a text. */
    public GgufWriter string(String key, String value) {
        key(key, 8).write(text(value));
        return this;
    }

    /** Adds an unsigned 32-bit number. */
    public GgufWriter uint32(String key, int value) {
        key(key, 4).write(ints(value));
        return this;
    }

    /** Adds a 32-bit float. */
    public GgufWriter float32(String key, float value) {
        key(key, 6).write(ints(Float.floatToRawIntBits(value)));
        return this;
    }

    /** Adds a boolean. */
    public GgufWriter bool(String key, boolean value) {
        key(key, 7).write(new byte[] {(byte) (value ? 1 : 0)});
        return this;
    }

    /** Adds an array of texts. */
    public GgufWriter strings(String key, List<String> values) {
        key(key, 9).write(ints(8)).write(longs(values.size()));
        for (String value : values) {
            new Sink().write(text(value));
        }
        return this;
    }

    /** Adds an array of 32-bit integers. */
    public GgufWriter int32s(String key, int... values) {
        key(key, 9).write(ints(5)).write(longs(values.length)).write(ints(values));
        return this;
    }

    /** Adds an array of 32-bit floats. */
    public GgufWriter float32s(String key, float... values) {
        Sink sink = key(key, 9).write(ints(6)).write(longs(values.length));
        for (float value : values) {
            sink.write(ints(Float.floatToRawIntBits(value)));
        }
        return this;
    }

    /** Adds a tensor; {@code shape} has the outermost dimension first. */
    public GgufWriter tensor(String name, DType type, byte[] data, long... shape) {
        tensors.add(new Entry(name, type, shape, data));
        return this;
    }

    /** Adds a float32 tensor. */
    public GgufWriter tensor(String name, float[] values, long... shape) {
        int[] bits = new int[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Float.floatToRawIntBits(values[i]);
        }
        return tensor(name, DType.F32, ints(bits), shape);
    }

    /** The file's bytes. */
    public byte[] bytes() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(ints(0x46554747, 3));
        out.writeBytes(longs(tensors.size(), keyCount));
        out.writeBytes(keys.toByteArray());
        long offset = 0;
        for (Entry t : tensors) {
            out.writeBytes(text(t.name));
            out.writeBytes(ints(t.shape.length));
            for (int d = t.shape.length - 1; d >= 0; d--) {
                out.writeBytes(longs(t.shape[d]));
            }
            out.writeBytes(ints(t.type.code()));
            out.writeBytes(longs(offset));
            offset += Math.ceilDiv(t.data.length, 32) * 32L;
        }
        for (Entry t : tensors) {
            out.writeBytes(new byte[(32 - out.size() % 32) % 32]);
            out.writeBytes(t.data);
        }
        return out.toByteArray();
    }

    private final class Sink {
        Sink write(byte[] bytes) {
            keys.writeBytes(bytes);
            return this;
        }
    }

    private Sink key(String key, int type) {
        keyCount++;
        return new Sink().write(text(key)).write(ints(type));
    }

    private static byte[] text(String value) {
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        byte[] out = new byte[8 + bytes.length];
        little(out).putLong(bytes.length).put(bytes);
        return out;
    }

    private static byte[] ints(int... values) {
        byte[] out = new byte[4 * values.length];
        little(out).asIntBuffer().put(values);
        return out;
    }

    private static byte[] longs(long... values) {
        byte[] out = new byte[8 * values.length];
        little(out).asLongBuffer().put(values);
        return out;
    }

    private static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
