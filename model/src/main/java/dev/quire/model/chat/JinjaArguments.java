package dev.quire.model.chat;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The values of a call's arguments. */
record JinjaArguments(List<Object> positional, Map<String, Object> named) {
    static final JinjaArguments NONE = new JinjaArguments(List.of(), Map.of());

    static JinjaArguments of(Object... values) {
        return new JinjaArguments(List.of(values), Map.of());
    }

    /** The argument at a position or of a name, or null. */
    @Nullable Object find(int position, String name) {
        return position < positional.size() ? positional.get(position) : named.get(name);
    }

    Object get(int position, String name, Object fallback) {
        Object value = find(position, name);
        return value == null ? fallback : value;
    }

    Object require(int position, String name) {
        Object value = find(position, name);
        if (value == null) {
            throw new ChatTemplateException("missing argument '" + name + "'");
        }
        return value;
    }

    String text(int position, String name) {
        if (require(position, name) instanceof String s) {
            return s;
        }
        throw new ChatTemplateException("argument '" + name + "' should be a string and is "
                + PythonValues.typeName(require(position, name)));
    }

    String text(int position, String name, String fallback) {
        return find(position, name) == null ? fallback : text(position, name);
    }

    long integer(int position, String name, long fallback) {
        Object value = find(position, name);
        if (value == null) {
            return fallback;
        }
        Long number = PythonValues.asLong(value);
        if (number == null) {
            throw new ChatTemplateException(
                    "argument '" + name + "' should be an integer and is " + PythonValues.typeName(value));
        }
        return number;
    }

    boolean flag(int position, String name, boolean fallback) {
        Object value = find(position, name);
        return value == null ? fallback : PythonValues.isTrue(value);
    }

    /** All but the first positional arguments. */
    JinjaArguments rest() {
        return new JinjaArguments(positional.subList(1, positional.size()), named);
    }
}
