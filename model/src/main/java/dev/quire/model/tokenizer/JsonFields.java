package dev.quire.model.tokenizer;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Typed reading of a component of tokenizer.json; what is amiss is an IllegalArgumentException that names it. */
final class JsonFields {
    private JsonFields() {}

    /** A member that is there and not null, or null. */
    static @Nullable JsonNode member(JsonNode node, String key) {
        JsonNode value = node.get(key);
        return value == null || value.isNull() ? null : value;
    }

    static String type(JsonNode node) {
        return text(node, "type", "");
    }

    static String text(JsonNode node, String key, String fallback) {
        JsonNode value = member(node, key);
        if (value == null) {
            return fallback;
        }
        if (!value.isString()) {
            throw new IllegalArgumentException(key + " should be a string");
        }
        return value.stringValue();
    }

    static boolean flag(JsonNode node, String key, boolean fallback) {
        JsonNode value = member(node, key);
        if (value == null) {
            return fallback;
        }
        if (!value.isBoolean()) {
            throw new IllegalArgumentException(key + " should be true or false");
        }
        return value.booleanValue();
    }

    static int number(JsonNode node, String key, int fallback) {
        JsonNode value = member(node, key);
        return value == null ? fallback : number(value, key);
    }

    static int number(JsonNode value, String what) {
        if (!value.isInt()) {
            throw new IllegalArgumentException(what + " should be an integer");
        }
        return value.intValue();
    }

    /** The elements of an array; none when it is absent. */
    static List<JsonNode> list(JsonNode node, String key) {
        JsonNode value = member(node, key);
        if (value == null) {
            return List.of();
        }
        if (!value.isArray()) {
            throw new IllegalArgumentException(key + " should be an array");
        }
        return new ArrayList<>(value.values());
    }

    /** A pattern: {@code {"String": …}} or {@code {"Regex": …}}. */
    static SplitPattern pattern(JsonNode node) {
        JsonNode pattern = member(node, "pattern");
        JsonNode literal = pattern == null ? null : member(pattern, "String");
        JsonNode regex = pattern == null ? null : member(pattern, "Regex");
        if (literal != null && literal.isString()) {
            return SplitPattern.literal(literal.stringValue());
        }
        if (regex != null && regex.isString()) {
            return SplitPattern.untrusted(regex.stringValue());
        }
        throw new IllegalArgumentException("a pattern should be a String or a Regex");
    }

    static IllegalArgumentException unsupported(String kind, String type) {
        return new IllegalArgumentException(
                kind + " " + (type.isEmpty() ? "without a type" : type) + " is not supported");
    }
}
