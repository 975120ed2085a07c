package dev.quire.model.weights;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * A cursor over the bytes of a GGUF file. Each read checks what is left first, so a length from the file can neither
 * reach outside the mapping nor make the reader allocate more than the file itself could fill.
 */
final class GgufReader {
    static final int MAX_STRING_BYTES = 16 << 20;
    static final int MAX_ARRAY_ELEMENTS = 4 << 20; // of all arrays of a file together

    private static final int TYPE_STRING = 8;
    private static final int TYPE_ARRAY = 9;
    private static final int[] TYPE_BYTES = {1, 1, 2, 2, 4, 4, 4, 1, -1, -1, 8, 8, 8};

    private static final int MAX_ARRAY_BYTES = 1 << 30; // of the strings of one array
    private static final int WINDOW = 1 << 16;

    private final Path path;
    private final MemorySegment bytes;
    private final byte[] window = new byte[WINDOW]; // numbers are read from a copy: quicker before code is compiled
    private long windowStart;
    private long windowEnd;
    private long at;
    private int elementsLeft = MAX_ARRAY_ELEMENTS;

    GgufReader(Path path, MemorySegment bytes) {
        this.path = path;
        this.bytes = bytes;
    }

    long at() {
        return at;
    }

    WeightsException wrong(long offset, String problem) {
        return new WeightsException(path, offset, problem);
    }

    private long take(long n, String field) {
        if (n < 0 || n > bytes.byteSize() - at) {
            throw wrong(
                    at,
                    field + " needs " + Long.toUnsignedString(n) + " bytes, the file has " + (bytes.byteSize() - at)
                            + " left");
        }
        long from = at;
        at += n;
        return from;
    }

    int int32(String field) {
        return int32At(take(4, field));
    }

    long int64(String field) {
        return int64At(take(8, field));
    }

    private int int32At(long offset) {
        int i = inWindow(offset, 4);
        return (window[i] & 0xFF) | (window[i + 1] & 0xFF) << 8 | (window[i + 2] & 0xFF) << 16 | window[i + 3] << 24;
    }

    private long int64At(long offset) {
        return (int32At(offset) & 0xFFFFFFFFL) | (long) int32At(offset + 4) << 32;
    }

    private byte byteAt(long offset) {
        return window[inWindow(offset, 1)];
    }

    /** Where in the window the {@code n} bytes from {@code offset} are; they are within the file. */
    private int inWindow(long offset, int n) {
        if (offset < windowStart || offset + n > windowEnd) {
            int size = (int) Math.min(WINDOW, bytes.byteSize() - offset);
            MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, offset, window, 0, size);
            windowStart = offset;
            windowEnd = offset + size;
        }
        return (int) (offset - windowStart);
    }

    /** An unsigned count that must be at most {@code limit}. */
    int count(String field, int limit) {
        long from = at;
        long n = int64(field);
        if (n < 0 || n > limit) {
            throw wrong(from, field + " is " + Long.toUnsignedString(n) + ", at most " + limit + " are allowed");
        }
        return (int) n;
    }

    String string(String field, int limit) {
        int n = count("length of " + field, limit);
        byte[] text = new byte[checked(n, field)];
        MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, take(n, field), text, 0, n);
        return new String(text, StandardCharsets.UTF_8);
    }

    private int checked(int n, String field) {
        if (n > bytes.byteSize() - at) {
            throw wrong(at, field + " needs " + n + " bytes, the file has " + (bytes.byteSize() - at) + " left");
        }
        return n;
    }

    /** A metadata value: Boolean, Long, Double, String, or an array as long[], double[] or {@link Texts}. */
    Object value(String key) {
        long from = at;
        int type = int32("type of " + key);
        return switch (type) {
            case TYPE_STRING -> string(key, MAX_STRING_BYTES);
            case TYPE_ARRAY -> array(key);
            default -> {
                checkScalar(type, key, from);
                yield scalar(type, key);
            }
        };
    }

    private void checkScalar(int type, String key, long from) {
        if (type < 0 || type >= TYPE_BYTES.length || TYPE_BYTES[type] < 0) {
            throw wrong(from, key + " has the unknown value type " + type);
        }
    }

    private Object scalar(int type, String key) {
        long p = take(TYPE_BYTES[type], key);
        return switch (type) {
            case 6, 12 -> real(type, p);
            case 7 -> byteAt(p) != 0;
            default -> integer(type, p);
        };
    }

    private double real(int type, long p) {
        return type == 6 ? Float.intBitsToFloat(int32At(p)) : Double.longBitsToDouble(int64At(p));
    }

    private long integer(int type, long p) {
        return switch (type) {
            case 0 -> byteAt(p) & 0xFFL;
            case 1, 7 -> byteAt(p);
            case 2 -> (byteAt(p) & 0xFFL) | (byteAt(p + 1) & 0xFFL) << 8;
            case 3 -> (byteAt(p) & 0xFFL) | (long) byteAt(p + 1) << 8;
            case 4 -> int32At(p) & 0xFFFFFFFFL;
            case 5 -> int32At(p);
            default -> int64At(p);
        };
    }

    private Object array(String key) {
        long from = at;
        int type = int32("element type of " + key);
        int n = count("length of " + key, elementsLeft);
        elementsLeft -= n;
        if (type == TYPE_STRING) {
            return strings(key, n);
        }
        if (type == TYPE_ARRAY) {
            throw wrong(from, key + " is an array of arrays, which is not supported");
        }
        checkScalar(type, key, from);
        int size = TYPE_BYTES[type];
        long start = take((long) n * size, key);
        if (type == 6 || type == 12) {
            double[] values = new double[n];
            for (int i = 0; i < n; i++) {
                values[i] = real(type, start + (long) i * size);
            }
            return values;
        }
        long[] values = new long[n];
        for (int i = 0; i < n; i++) {
            values[i] = integer(type, start + (long) i * size);
        }
        return values;
    }

    private Texts strings(String key, int n) {
        if ((long) n * Long.BYTES > bytes.byteSize() - at) {
            throw wrong(at, key + " says it has " + n + " strings, more than the rest of the file can hold");
        }
        String length = "length of " + key;
        long start = at;
        int[] starts = new int[n];
        int[] ends = new int[n];
        for (int i = 0; i < n; i++) {
            long from = take(count(length, MAX_STRING_BYTES), key);
            if (at - start > MAX_ARRAY_BYTES) {
                throw wrong(start, key + " is longer than " + MAX_ARRAY_BYTES + " bytes");
            }
            starts[i] = (int) (from - start);
            ends[i] = (int) (at - start);
        }
        byte[] text = new byte[(int) (at - start)];
        MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, start, text, 0, text.length);
        return new Texts(text, starts, ends);
    }
}
