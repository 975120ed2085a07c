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

    /** Refuses arguments beyond these parameters. */
    void check(List<String> parameters) {
        if (positional.size() > parameters.size()) {
            throw new ChatTemplateException(
                    "takes at most " + parameters.size() + " arguments, not " + positional.size());
        }
        for (String name : named.keySet()) {
            if (parameters.indexOf(name) < positional.size()) {
                throw new ChatTemplateException("unexpected or repeated argument '" + name + "'");
            }
        }
    }

    /** The argument at a position or of a name, or null. */
    @Nullable
    Object find(int position, String name) {
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
        throw new ChatTemplateException(
                "argument '" + name + "' should be a string and is " + PythonValues.typeName(require(position, name)));
    }

    String text(int position, String name, String fallback) {
        return find(position, name) == null ? fallback : text(position, name);
    }

    /** An integer that must be there. */
    long whole(int position, String name) {
        require(position, name);
        return integer(position, name, 0);
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

    /** All but the first so many positional arguments. */
    JinjaArguments after(int count) {
        return new JinjaArguments(positional.subList(count, positional.size()), named);
    }
}
