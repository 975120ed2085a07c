package dev.quire.model.chat;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Values as Python's {@code json.dumps} writes them. One owner. */
final class JsonText {
    private final JinjaBudget budget;
    private final boolean ascii;
    private final boolean sortKeys;
    private final @Nullable String indent;
    private final String itemSeparator;
    private final String keySeparator;
    private final StringBuilder out = new StringBuilder();

    static final List<String> PARAMETERS = List.of("ensure_ascii", "indent", "separators", "sort_keys");

    /** @param arguments those of the {@code tojson} filter, which has {@link #PARAMETERS} */
    JsonText(JinjaArguments arguments, JinjaBudget budget) {
        this.budget = budget;
        this.ascii = arguments.flag(0, "ensure_ascii", false);
        Object given = arguments.get(1, "indent", PythonValues.NONE);
        this.indent = given instanceof String s
                ? s
                : given == PythonValues.NONE ? null : spaces(arguments.integer(1, "indent", 0));
        this.sortKeys = arguments.flag(3, "sort_keys", false);
        Object separators = arguments.get(2, "separators", PythonValues.NONE);
        if (separators instanceof List<?> pair
                && pair.size() == 2
                && pair.get(0) instanceof String item
                && pair.get(1) instanceof String key) {
            this.itemSeparator = item;
            this.keySeparator = key;
        } else if (separators != PythonValues.NONE) {
            throw new ChatTemplateException("tojson: separators should be two strings");
        } else {
            this.itemSeparator = indent == null ? ", " : ",";
            this.keySeparator = ": ";
        }
    }

    private static String spaces(long count) {
        if (count > 100) {
            throw new ChatTemplateException("tojson: an indent of " + count + " is too large");
        }
        return " ".repeat((int) Math.max(0, count));
    }

    String write(Object value) {
        write(value, 1);
        return out.toString();
    }

    private void write(Object value, int level) {
        budget.step();
        budget.enter();
        int before = out.length();
        switch (value) {
            case Boolean b -> out.append(b);
            case Long n -> out.append(n.longValue());
            case Double d -> out.append(number(d));
            case String s -> quoted(s);
            case List<?> list -> list(list, level);
            case Map<?, ?> map -> dict(map, level);
            default -> {
                if (value != PythonValues.NONE) {
                    throw new ChatTemplateException(
                            "Object of type " + PythonValues.typeName(value) + " is not JSON serializable");
                }
                out.append("null");
            }
        }
        budget.text(out.length() - before);
        budget.growing(out);
        budget.leave();
    }

    private static String number(double d) {
        return Double.isNaN(d)
                ? "NaN"
                : Double.isInfinite(d) ? (d > 0 ? "Infinity" : "-Infinity") : PythonText.number(d);
    }

    private void list(List<?> items, int level) {
        if (items.isEmpty()) {
            out.append("[]");
            return;
        }
        out.append('[');
        boolean first = true;
        for (Object item : items) {
            separate(first, level);
            first = false;
            write(item, level + 1);
        }
        newline(level - 1);
        out.append(']');
    }

    private void dict(Map<?, ?> map, int level) {
        if (map.isEmpty()) {
            out.append("{}");
            return;
        }
        out.append('{');
        boolean first = true;
        for (Map.Entry<?, ?> entry : entries(map)) {
            separate(first, level);
            first = false;
            quoted(key(entry.getKey()));
            out.append(keySeparator);
            write(entry.getValue(), level + 1);
        }
        newline(level - 1);
        out.append('}');
    }

    private List<Map.Entry<?, ?>> entries(Map<?, ?> map) {
        List<Map.Entry<?, ?>> entries = new ArrayList<>(map.entrySet());
        if (sortKeys) {
            entries.sort(Comparator.comparing(Map.Entry::getKey, (a, b) -> PythonValues.compare(a, b, "<", budget)));
        }
        return entries;
    }

    private static String key(Object key) {
        return switch (key) {
            case String s -> s;
            case Boolean b -> b.toString();
            case Long n -> n.toString();
            case Double d -> number(d);
            default -> {
                if (key != PythonValues.NONE) {
                    throw new ChatTemplateException(
                            "keys must be str, int, float, bool or None, not " + PythonValues.typeName(key));
                }
                yield "null";
            }
        };
    }

    private void separate(boolean first, int level) {
        if (!first) {
            out.append(itemSeparator);
        }
        newline(level);
    }

    private void newline(int level) {
        if (indent != null) {
            budget.text((long) indent.length() * level);
            out.append('\n').repeat(indent, level);
        }
    }

    private void quoted(String s) {
        out.append('"');
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\b' -> out.append("\\b");
                case '\f' -> out.append("\\f");
                default -> {
                    if (c < 0x20 || (ascii && c > 0x7E)) {
                        out.append("\\u%04x".formatted((int) c));
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append('"');
    }
}
