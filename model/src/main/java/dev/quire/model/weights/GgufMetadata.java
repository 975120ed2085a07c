package dev.quire.model.weights;

import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The key-value part of a GGUF file, typed at the point of use: a key of another type than asked for is a
 * {@link WeightsException} that names it. Immutable; any thread; stays valid after the file is closed.
 */
public final class GgufMetadata {
    private final Path path;
    private final Map<String, Object> values;

    GgufMetadata(Path path, Map<String, Object> values) {
        this.path = path;
        this.values = values;
    }

    /** All keys, in the file's order. */
    public Set<String> keys() {
        return values.keySet();
    }

    /** A text, or null when the key is absent. */
    public @Nullable String string(String key) {
        return value(key, String.class, "a string");
    }

    /** A text that must be there. */
    public String requireString(String key) {
        return present(key, string(key));
    }

    /** An integer, or null when the key is absent. Unsigned 64-bit values above the signed range are refused. */
    public @Nullable Long integer(String key) {
        return value(key, Long.class, "an integer");
    }

    /** An integer that fits an {@code int}, or {@code fallback} when the key is absent. */
    public int intValue(String key, int fallback) {
        Long v = integer(key);
        return v == null ? fallback : narrow(key, v);
    }

    /** An integer that fits an {@code int} and must be there. */
    public int requireInt(String key) {
        return narrow(key, present(key, integer(key)));
    }

    /** A number, integer or not, or {@code fallback} when the key is absent. */
    public double number(String key, double fallback) {
        if (values.get(key) instanceof Long whole) {
            return whole;
        }
        Double v = value(key, Double.class, "a number");
        return v == null ? fallback : v;
    }

    /** A truth value, or {@code fallback} when the key is absent. */
    public boolean flag(String key, boolean fallback) {
        Boolean v = value(key, Boolean.class, "a boolean");
        return v == null ? fallback : v;
    }

    /** An array of texts, or null when the key is absent. */
    public @Nullable Texts strings(String key) {
        return value(key, Texts.class, "an array of strings");
    }

    /** An array of integers that fit {@code int}s, or null when the key is absent. */
    public int @Nullable [] ints(String key) {
        long[] v = value(key, long[].class, "an array of integers");
        if (v == null) {
            return null;
        }
        int[] result = new int[v.length];
        for (int i = 0; i < v.length; i++) {
            result[i] = narrow(key, v[i]);
        }
        return result;
    }

    /** An array of floating point numbers, or null when the key is absent. */
    public float @Nullable [] floats(String key) {
        double[] v = value(key, double[].class, "an array of floats");
        if (v == null) {
            return null;
        }
        float[] result = new float[v.length];
        for (int i = 0; i < v.length; i++) {
            result[i] = (float) v[i];
        }
        return result;
    }

    private int narrow(String key, long v) {
        if (v != (int) v) {
            throw new WeightsException(path, key + " is " + Long.toUnsignedString(v) + ", too large for 32 bits");
        }
        return (int) v;
    }

    private <T> T present(String key, @Nullable T value) {
        if (value == null) {
            throw new WeightsException(path, "metadata lacks " + key);
        }
        return value;
    }

    private <T> @Nullable T value(String key, Class<T> type, String wanted) {
        Object v = values.get(key);
        if (v == null) {
            return null;
        }
        if (!type.isInstance(v)) {
            throw new WeightsException(path, key + " should be " + wanted + " and is " + described(v));
        }
        return type.cast(v);
    }

    private static String described(Object v) {
        return switch (v) {
            case String _ -> "a string";
            case Long _ -> "an integer";
            case Double _ -> "a floating point number";
            case Boolean _ -> "a boolean";
            case long[] _ -> "an array of integers";
            case double[] _ -> "an array of floats";
            default -> "an array of strings";
        };
    }
}
