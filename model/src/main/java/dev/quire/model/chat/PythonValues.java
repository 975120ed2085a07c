package dev.quire.model.chat;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The values of a template and what Python says of them: {@link #NONE}, Boolean, Long, Double, String, {@link Markup},
 * List (a Python list or, as {@link Tuple}, a tuple), Map (a dict), {@link View}, {@link Generator}, {@link Namespace},
 * {@link JinjaLoop}, {@link Function} and {@link Undefined}. Nothing else ever gets in, so nothing else can be reached.
 */
final class PythonValues {
    /** Python's None. */
    static final Object NONE = None.NONE;

    private static final int MAX_DEPTH = 200;
    private static final double EXACT_DOUBLES = 1L << 53;

    static final int MAX_ITEMS = 1_000_000;

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

    /** A text that is not to be escaped again. */
    record Markup(String text) {}

    /** What Python makes of a range, or of a dict's keys, values or items: not a list, but it has a length. */
    record View(String type, String printed, List<Object> items) {
        static final String RANGE = "range";

        boolean isRange() {
            return type.equals(RANGE);
        }
    }

    /** What can be gone through once, and is computed meanwhile. */
    record Generator(Iterator<Object> rest) {}

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
            case Markup m -> !m.text.isEmpty();
            case View v -> !v.items.isEmpty();
            case JinjaLoop loop -> loop.length() > 0;
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
            case Markup _ -> "Markup";
            case View v -> v.type;
            case Generator _ -> "generator";
            case JinjaLoop _ -> "LoopContext";
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

    private static boolean equal(Object left, Object right, JinjaBudget budget) {
        budget.step();
        Object a = left instanceof Markup markup ? markup.text : left;
        Object b = right instanceof Markup markup ? markup.text : right;
        if (isNumber(a) && isNumber(b)) {
            return !isNan(a) && !isNan(b) && compareNumbers(a, b) == 0;
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
        if (a instanceof View && b instanceof View && a != b) {
            throw new ChatTemplateException("a " + typeName(a) + " cannot be compared");
        }
        return (a instanceof Undefined && b instanceof Undefined) || a == b;
    }

    private static boolean equalDicts(Map<?, ?> x, Map<?, ?> y, JinjaBudget budget) {
        if (x.size() != y.size()) {
            return false;
        }
        for (Map.Entry<?, ?> entry : x.entrySet()) {
            Object other = find(y, entry.getKey());
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
            return compareNumbers(a, b);
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

    static boolean isNan(Object value) {
        return value instanceof Double d && d.isNaN();
    }

    /** A total order, with NaN last. */
    private static int compareNumbers(Object a, Object b) {
        Long x = asLong(a);
        Long y = asLong(b);
        if (x != null && y != null) {
            return Long.compare(x, y);
        }
        double d = asDouble(a);
        double e = asDouble(b);
        if (d == e && (x != null || y != null) && Math.abs(d) >= EXACT_DOUBLES && Double.isFinite(d)) {
            return exact(a).compareTo(exact(b));
        }
        return d == e ? 0 : Double.compare(d, e);
    }

    private static BigDecimal exact(Object number) {
        Long whole = asLong(number);
        return whole != null ? BigDecimal.valueOf(whole) : new BigDecimal(asDouble(number));
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
    static Iterator<Object> iterator(Object value) {
        return switch (value) {
            case List<?> list -> (Iterator<Object>) list.iterator();
            case Map<?, ?> map -> (Iterator<Object>) map.keySet().iterator();
            case View view -> view.items.iterator();
            case Generator generator -> generator.rest;
            case String s ->
                s.codePoints().mapToObj(c -> (Object) Character.toString(c)).iterator();
            case Undefined _ -> Collections.emptyIterator();
            default -> throw new ChatTemplateException("'" + typeName(value) + "' object is not iterable");
        };
    }

    /** The same as a list; where that is a list already, it itself. */
    @SuppressWarnings("unchecked") // lists hold template values only
    static List<Object> items(Object value, JinjaBudget budget) {
        if (value instanceof List<?> list) {
            return (List<Object>) list;
        }
        List<Object> items = new ArrayList<>();
        for (Iterator<Object> rest = iterator(value); rest.hasNext(); ) {
            budget.items(1);
            if (items.size() == MAX_ITEMS) {
                throw new ChatTemplateException("the chat template makes a list of more than " + MAX_ITEMS + " items");
            }
            items.add(rest.next());
        }
        return items;
    }

    /** Whether the value can be a dict's key here: a text, a number, a boolean or none. */
    static boolean isKey(Object value) {
        return value instanceof String || isNumber(value) || value == NONE;
    }

    /** The value of a key, or null. To Python 1, 1.0 and true are the same key. */
    static @Nullable Object find(Map<?, ?> map, Object key) {
        Object value = isKey(key) ? map.get(key) : null;
        if (value != null || !isNumber(key)) {
            return value;
        }
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            if (isNumber(entry.getKey()) && compareNumbers(entry.getKey(), key) == 0) {
                return entry.getValue();
            }
        }
        return null;
    }

    static void put(Map<Object, Object> map, Object key, Object value) {
        if (!isKey(key)) {
            throw new ChatTemplateException("a " + typeName(key) + " cannot be a key of a dict");
        }
        Object same = key;
        if (isNumber(key) && !map.containsKey(key)) {
            for (Object other : map.keySet()) {
                same = isNumber(other) && compareNumbers(other, key) == 0 ? other : same;
            }
        }
        map.put(same, value);
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
            case Markup m -> m.text.codePointCount(0, m.text.length());
            case View v -> v.items.size();
            case JinjaLoop loop -> loop.length();
            case Undefined _ -> 0;
            default -> throw new ChatTemplateException("object of type '" + typeName(value) + "' has no len()");
        };
    }
}
