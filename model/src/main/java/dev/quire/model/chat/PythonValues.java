package dev.quire.model.chat;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The values of a template and what Python says of them: {@link #NONE}, Boolean, Long, Double, String, List (a Python
 * list or, as {@link Tuple}, a tuple), Map (a dict), {@link Namespace}, {@link Function} and {@link Undefined}. Nothing
 * else ever gets in, so nothing else can be reached.
 */
final class PythonValues {
    /** Python's None. */
    static final Object NONE = None.NONE;

    private static final int MAX_DEPTH = 200;

    private enum None {
        NONE
    }

    /** A name without a value; most uses of it are the error that it carries. */
    record Undefined(String problem) {}

    /** Something that can be called. */
    @FunctionalInterface
    interface Function {
        Object call(JinjaArguments arguments);
    }

    /** The one kind of object that templates may change. */
    record Namespace(Map<String, Object> fields) {}

    /** An immutable list that prints with parentheses. */
    static final class Tuple extends AbstractList<Object> {
        private final List<Object> items;

        Tuple(List<Object> items) {
            this.items = items;
        }

        static Tuple of(Object... items) {
            return new Tuple(List.of(items));
        }

        @Override
        public Object get(int index) {
            return items.get(index);
        }

        @Override
        public int size() {
            return items.size();
        }
    }

    private PythonValues() {}

    /** A value of the request as a template sees it. */
    static Object from(@Nullable Object value) {
        return from(value, 0);
    }

    private static Object from(@Nullable Object value, int depth) {
        if (depth > MAX_DEPTH) {
            throw new ChatTemplateException("a value is nested more than " + MAX_DEPTH + " deep");
        }
        return switch (value) {
            case null -> NONE;
            case Map<?, ?> map -> {
                Map<Object, Object> dict = LinkedHashMap.newLinkedHashMap(map.size());
                for (Map.Entry<?, ?> entry : map.entrySet()) {
                    dict.put(String.valueOf(entry.getKey()), from(entry.getValue(), depth + 1));
                }
                yield dict;
            }
            case Iterable<?> items -> {
                List<Object> list = new ArrayList<>();
                for (Object item : items) {
                    list.add(from(item, depth + 1));
                }
                yield list;
            }
            case Boolean b -> b;
            case Double d -> d;
            case Float f -> (double) f;
            case BigDecimal d -> d.doubleValue();
            case BigInteger i -> i.bitLength() < 64 ? (Object) i.longValue() : (Object) i.doubleValue();
            case Number n -> n.longValue();
            default -> value.toString();
        };
    }

    static boolean isTrue(Object value) {
        return switch (value) {
            case Boolean b -> b;
            case Long n -> n != 0;
            case Double d -> d != 0;
            case String s -> !s.isEmpty();
            case List<?> list -> !list.isEmpty();
            case Map<?, ?> map -> !map.isEmpty();
            case None _, Undefined _ -> false;
            default -> true;
        };
    }

    /** Python's name of the type. */
    static String typeName(Object value) {
        return switch (value) {
            case Boolean _ -> "bool";
            case Long _ -> "int";
            case Double _ -> "float";
            case String _ -> "str";
            case Tuple _ -> "tuple";
            case List<?> _ -> "list";
            case Map<?, ?> _ -> "dict";
            case None _ -> "NoneType";
            case Undefined _ -> "Undefined";
            case Namespace _ -> "Namespace";
            default -> "function";
        };
    }

    /** How messages about a missing attribute name the object. */
    static String objectName(Object value) {
        return switch (value) {
            case None _ -> "None";
            case Namespace _ -> "jinja2.utils.Namespace object";
            default -> typeName(value) + " object";
        };
    }

    /** Whether this is an int, a float or a bool, which Python counts as an int. */
    static boolean isNumber(Object value) {
        return value instanceof Long || value instanceof Double || value instanceof Boolean;
    }

    static double asDouble(Object number) {
        return number instanceof Boolean b ? (b ? 1 : 0) : ((Number) number).doubleValue();
    }

    /** The int that a Long or Boolean is; null for all else. */
    static @Nullable Long asLong(Object value) {
        return switch (value) {
            case Long n -> n;
            case Boolean b -> b ? 1L : 0L;
            default -> null;
        };
    }

    static boolean areEqual(Object a, Object b, JinjaBudget budget) {
        budget.enter();
        try {
            return equal(a, b, budget);
        } finally {
            budget.leave();
        }
    }

    private static boolean equal(Object a, Object b, JinjaBudget budget) {
        budget.step();
        if (isNumber(a) && isNumber(b)) {
            Long x = asLong(a);
            Long y = asLong(b);
            return x != null && y != null ? x.equals(y) : asDouble(a) == asDouble(b);
        }
        if (a instanceof String s && b instanceof String t) {
            budget.work(Math.min(s.length(), t.length()) / 16);
            return s.equals(t);
        }
        if (a instanceof List<?> x && b instanceof List<?> y) {
            if (x.size() != y.size() || a instanceof Tuple != b instanceof Tuple) {
                return false;
            }
            for (int i = 0; i < x.size(); i++) {
                if (!areEqual(x.get(i), y.get(i), budget)) {
                    return false;
                }
            }
            return true;
        }
        if (a instanceof Map<?, ?> x && b instanceof Map<?, ?> y) {
            return equalDicts(x, y, budget);
        }
        return a instanceof Undefined && b instanceof Undefined || a == b;
    }

    private static boolean equalDicts(Map<?, ?> x, Map<?, ?> y, JinjaBudget budget) {
        if (x.size() != y.size()) {
            return false;
        }
        for (Map.Entry<?, ?> entry : x.entrySet()) {
            Object other = y.get(entry.getKey());
            if (other == null || !areEqual(entry.getValue(), other, budget)) {
                return false;
            }
        }
        return true;
    }

    /** Order of two values as Python's {@code <} has it: negative, zero, positive. */
    static int compare(Object a, Object b, String operator, JinjaBudget budget) {
        budget.step();
        if (isNumber(a) && isNumber(b)) {
            Long x = asLong(a);
            Long y = asLong(b);
            return x != null && y != null ? Long.compare(x, y) : Double.compare(asDouble(a), asDouble(b));
        }
        if (a instanceof String s && b instanceof String t) {
            budget.work(Math.min(s.length(), t.length()) / 16);
            return compareText(s, t);
        }
        if (a instanceof List<?> x && b instanceof List<?> y && a instanceof Tuple == b instanceof Tuple) {
            budget.enter();
            for (int i = 0; i < Math.min(x.size(), y.size()); i++) {
                if (!areEqual(x.get(i), y.get(i), budget)) {
                    int order = compare(x.get(i), y.get(i), operator, budget);
                    budget.leave();
                    return order;
                }
            }
            budget.leave();
            return Integer.compare(x.size(), y.size());
        }
        requireDefined(a);
        requireDefined(b);
        throw new ChatTemplateException("'" + operator + "' not supported between instances of '" + typeName(a)
                + "' and '" + typeName(b) + "'");
    }

    /** By code points, which UTF-16 units do not follow beyond the basic plane. */
    private static int compareText(String s, String t) {
        for (int i = 0; i < Math.min(s.length(), t.length()); i++) {
            if (s.charAt(i) != t.charAt(i)) {
                return Integer.compare(s.codePointAt(i), t.codePointAt(i));
            }
        }
        return Integer.compare(s.length(), t.length());
    }

    /** Throws the undefined value's own error. */
    static void requireDefined(Object value) {
        if (value instanceof Undefined undefined) {
            throw new ChatTemplateException(undefined.problem());
        }
    }

    /** What a loop over the value goes through. */
    @SuppressWarnings("unchecked") // lists and dicts hold template values only
    static List<Object> items(Object value, JinjaBudget budget) {
        return switch (value) {
            case List<?> list -> (List<Object>) list;
            case Map<?, ?> map -> {
                budget.work(map.size());
                yield new ArrayList<>(map.keySet());
            }
            case String s -> {
                budget.work(s.length() * 4L);
                List<Object> characters = new ArrayList<>(s.length());
                s.codePoints().forEach(c -> characters.add(Character.toString(c)));
                yield characters;
            }
            case Undefined _ -> List.of();
            default -> throw new ChatTemplateException("'" + typeName(value) + "' object is not iterable");
        };
    }

    /** The value as a dict. */
    @SuppressWarnings("unchecked") // dicts hold template values only
    static Map<Object, Object> dict(Object value) {
        if (value instanceof Map<?, ?> map) {
            return (Map<Object, Object>) map;
        }
        requireDefined(value);
        throw new ChatTemplateException("expected a dict and found " + typeName(value));
    }

    static long length(Object value) {
        return switch (value) {
            case String s -> s.codePointCount(0, s.length());
            case List<?> list -> list.size();
            case Map<?, ?> map -> map.size();
            case Undefined _ -> 0;
            default -> throw new ChatTemplateException("object of type '" + typeName(value) + "' has no len()");
        };
    }
}
