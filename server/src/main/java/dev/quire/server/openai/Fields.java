package dev.quire.server.openai;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Typed reading of a JSON object. Null and absent are the same. Every method throws a 400 that names the field, what was
 * seen and what is allowed.
 */
final class Fields {
    private final ObjectNode node;
    private final String path;

    Fields(ObjectNode node, String path) {
        this.node = node;
        this.path = path;
    }

    /** The name of a field as the client would write it. */
    String at(String name) {
        return path.isEmpty() ? name : path + "." + name;
    }

    @Nullable
    JsonNode get(String name) {
        JsonNode value = node.get(name);
        return value == null || value.isNull() ? null : value;
    }

    boolean has(String name) {
        return get(name) != null;
    }

    @Nullable
    String string(String name) {
        JsonNode value = get(name);
        return value == null ? null : text(value, at(name));
    }

    boolean bool(String name, boolean absent) {
        JsonNode value = get(name);
        if (value == null) {
            return absent;
        }
        if (!value.isBoolean()) {
            throw wrongKind(at(name), "true or false", value);
        }
        return value.booleanValue();
    }

    @Nullable
    Long integer(String name, long min, long max) {
        JsonNode value = get(name);
        return value == null ? null : integer(value, at(name), min, max);
    }

    long integer(String name, long min, long max, long absent) {
        Long value = integer(name, min, max);
        return value == null ? absent : value;
    }

    /** A finite number between the bounds, both allowed. */
    double number(String name, double min, double max, double absent) {
        JsonNode value = get(name);
        if (value == null) {
            return absent;
        }
        double seen = finite(value, at(name));
        if (seen < min || seen > max) {
            throw ApiError.invalid(
                    at(name), name + " must be between " + plain(min) + " and " + plain(max) + ".", value);
        }
        return seen;
    }

    @Nullable
    Fields object(String name) {
        JsonNode value = get(name);
        if (value == null) {
            return null;
        }
        if (value instanceof ObjectNode object) {
            return new Fields(object, at(name));
        }
        throw wrongKind(at(name), "an object", value);
    }

    List<JsonNode> array(String name, int limit) {
        JsonNode value = get(name);
        return value == null ? List.of() : array(value, at(name), limit);
    }

    Iterable<Map.Entry<String, JsonNode>> members() {
        return node.properties();
    }

    static List<JsonNode> array(JsonNode value, String at, int limit) {
        if (!value.isArray()) {
            throw wrongKind(at, "an array", value);
        }
        if (value.size() > limit) {
            throw ApiError.invalid(at, at + " may have at most " + limit + " entries.", value.size() + " entries");
        }
        List<JsonNode> out = new ArrayList<>(value.size());
        value.values().forEach(out::add);
        return out;
    }

    static String text(JsonNode value, String at) {
        if (!value.isString()) {
            throw wrongKind(at, "a string", value);
        }
        return Json.wellFormed(value.stringValue());
    }

    static long integer(JsonNode value, String at, long min, long max) {
        if (!value.isNumber()) {
            throw wrongKind(at, "an integer", value);
        }
        double approximate = value.doubleValue();
        if (!value.isIntegralNumber() && (Double.isInfinite(approximate) || approximate != Math.rint(approximate))) {
            throw wrongKind(at, "an integer", value);
        }
        boolean fits = value.isIntegralNumber() ? value.canConvertToLong() : Math.abs(approximate) < 1e15;
        long seen = !fits ? 0 : value.isIntegralNumber() ? value.longValue() : (long) approximate;
        if (!fits || seen < min || seen > max) {
            throw ApiError.invalid(at, at + " must be an integer between " + min + " and " + max + ".", value);
        }
        return seen;
    }

    static double finite(JsonNode value, String at) {
        if (!value.isNumber()) {
            throw wrongKind(at, "a number", value);
        }
        double seen = value.doubleValue();
        if (!Double.isFinite(seen)) {
            throw ApiError.invalid(at, at + " must be a finite number.", value);
        }
        return seen;
    }

    static ApiException wrongKind(String at, String wanted, JsonNode value) {
        return ApiError.malformed(at, at + " must be " + wanted + ", not " + kind(value) + ".");
    }

    /** What a value is, with as much of it as helps. */
    static String kind(JsonNode value) {
        if (value.isObject()) {
            return "an object";
        }
        if (value.isArray()) {
            return "an array";
        }
        String prefix = value.isString() ? "the string " : value.isNumber() ? "the number " : "";
        return prefix + ApiError.shown(value);
    }

    private static String plain(double bound) {
        return bound == Math.rint(bound) ? Long.toString((long) bound) : Double.toString(bound);
    }
}
