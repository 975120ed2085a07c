package dev.quire.model.weights;

import java.nio.charset.StandardCharsets;
import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import java.util.RandomAccess;

/**
 * Many short texts as UTF-8 bytes in one array: a vocabulary is read in one copy, and a text becomes a String when it is
 * asked for. Immutable; any thread.
 */
public final class Texts extends AbstractList<String> implements RandomAccess {
    private final byte[] bytes;
    private final int[] starts;
    private final int[] ends;

    /**
     * Text {@code i} is {@code bytes[starts[i], ends[i])}. Takes the arrays as they are.
     */
    Texts(byte[] bytes, int[] starts, int[] ends) {
        this.bytes = bytes;
        this.starts = starts;
        this.ends = ends;
    }

    /** The same texts. */
    public static Texts of(List<String> texts) {
        Writer writer = new Writer(texts.size());
        for (String text : texts) {
            writer.write(text.getBytes(StandardCharsets.UTF_8));
            writer.end();
        }
        return writer.texts();
    }

    @Override
    public int size() {
        return starts.length;
    }

    @Override
    public String get(int index) {
        return new String(bytes, starts[index], ends[index] - starts[index], StandardCharsets.UTF_8);
    }

    /** A copy of a text's bytes. */
    public byte[] copy(int index) {
        return Arrays.copyOfRange(bytes, starts[index], ends[index]);
    }

    /** The array that holds all texts; read only. */
    public byte[] bytes() {
        return bytes;
    }

    /** Where a text begins in {@link #bytes()}. */
    public int start(int index) {
        return starts[index];
    }

    /** Where it ends. */
    public int end(int index) {
        return ends[index];
    }

    /** Makes texts of bytes, one after the other. One owner. */
    public static final class Writer {
        private final int[] starts;
        private final int[] ends;
        private byte[] bytes;
        private int count;
        private int at;

        /** @param texts how many there will be */
        public Writer(int texts) {
            starts = new int[texts];
            ends = new int[texts];
            bytes = new byte[texts * 8 + 16];
        }

        /** A byte of the text that is being written. */
        public void write(byte value) {
            if (at == bytes.length) {
                bytes = Arrays.copyOf(bytes, Math.multiplyExact(at, 2));
            }
            bytes[at++] = value;
        }

        /** Bytes of the text that is being written. */
        public void write(byte[] values) {
            if (values.length > bytes.length - at) {
                bytes = Arrays.copyOf(bytes, Math.addExact(Math.multiplyExact(at, 2), values.length));
            }
            System.arraycopy(values, 0, bytes, at, values.length);
            at += values.length;
        }

        /** Takes back what was written of a text. */
        public void undo() {
            at = count == 0 ? 0 : ends[count - 1];
        }

        /** Ends a text; the next begins. */
        public void end() {
            starts[count] = count == 0 ? 0 : ends[count - 1];
            ends[count++] = at;
        }

        /** What was written. */
        public Texts texts() {
            return new Texts(bytes, starts, ends);
        }
    }
}
