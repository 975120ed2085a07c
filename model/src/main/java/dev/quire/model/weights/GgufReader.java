package dev.quire.model.weights;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

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

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path path;
    private final MemorySegment bytes;
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
        return bytes.get(INT, take(4, field));
    }

    long int64(String field) {
        return bytes.get(LONG, take(8, field));
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

    /** A metadata value: Boolean, Long, Double, String, or an array as long[], double[] or List of String. */
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
            case 7 -> bytes.get(ValueLayout.JAVA_BYTE, p) != 0;
            default -> integer(type, p);
        };
    }

    private double real(int type, long p) {
        return type == 6 ? Float.intBitsToFloat(bytes.get(INT, p)) : Double.longBitsToDouble(bytes.get(LONG, p));
    }

    private long integer(int type, long p) {
        return switch (type) {
            case 0 -> bytes.get(ValueLayout.JAVA_BYTE, p) & 0xFFL;
            case 1, 7 -> bytes.get(ValueLayout.JAVA_BYTE, p);
            case 2 -> bytes.get(SHORT, p) & 0xFFFFL;
            case 3 -> bytes.get(SHORT, p);
            case 4 -> bytes.get(INT, p) & 0xFFFFFFFFL;
            case 5 -> bytes.get(INT, p);
            default -> bytes.get(LONG, p);
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

    private List<String> strings(String key, int n) {
        if ((long) n * Long.BYTES > bytes.byteSize() - at) {
            throw wrong(at, key + " says it has " + n + " strings, more than the rest of the file can hold");
        }
        List<String> values = new ArrayList<>(n);
        for (int i = 0; i < n; i++) {
            values.add(string(key, MAX_STRING_BYTES));
        }
        return Collections.unmodifiableList(values);
    }
}
