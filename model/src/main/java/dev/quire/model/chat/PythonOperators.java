package dev.quire.model.chat;

import dev.quire.model.chat.PythonValues.Tuple;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Python's operators, within a budget. */
final class PythonOperators {
    private static final int MAX_ITEMS = PythonValues.MAX_ITEMS;

    private PythonOperators() {}

    static Object arithmetic(String operator, Object a, Object b, JinjaBudget budget) {
        PythonValues.requireDefined(a);
        if (operator.equals("%") && a instanceof String format) {
            return PythonFormat.percent(format, b, budget);
        }
        PythonValues.requireDefined(b);
        if (PythonValues.isNumber(a) && PythonValues.isNumber(b)) {
            return numbers(operator, a, b);
        }
        if (operator.equals("+")) {
            Object joined = joined(a, b, budget);
            if (joined != null) {
                return joined;
            }
        }
        Long times = PythonValues.asLong(b);
        if (operator.equals("*") && times != null && (a instanceof String || a instanceof List<?>)) {
            return repeated(a, times, budget);
        }
        times = PythonValues.asLong(a);
        if (operator.equals("*") && times != null && (b instanceof String || b instanceof List<?>)) {
            return repeated(b, times, budget);
        }
        throw new ChatTemplateException("unsupported operand type(s) for " + operator + ": '" + PythonValues.typeName(a)
                + "' and '" + PythonValues.typeName(b) + "'");
    }

    private static @Nullable Object joined(Object a, Object b, JinjaBudget budget) {
        if (a instanceof String s && b instanceof String t) {
            budget.text((long) s.length() + t.length());
            return s.concat(t);
        }
        if (a instanceof List<?> x && b instanceof List<?> y && a instanceof Tuple == b instanceof Tuple) {
            budget.items(x.size() + (long) y.size());
            List<Object> both = new ArrayList<>(x.size() + y.size());
            both.addAll(x);
            both.addAll(y);
            return checked(a instanceof Tuple ? new Tuple(both) : both);
        }
        if (a instanceof String) {
            throw new ChatTemplateException(
                    "can only concatenate str (not \"" + PythonValues.typeName(b) + "\") to str");
        }
        return null;
    }

    private static Object repeated(Object value, long times, JinjaBudget budget) {
        long count = Math.max(0, times);
        if (value instanceof String s) {
            budget.text(s.isEmpty() ? 0 : bounded(s.length(), count, JinjaBudget.MAX_CHARS));
            return s.isEmpty() ? "" : s.repeat((int) count);
        }
        List<?> items = (List<?>) value;
        budget.items(items.isEmpty() ? 0 : bounded(items.size(), count, MAX_ITEMS));
        List<Object> all = new ArrayList<>();
        for (long i = 0; !items.isEmpty() && i < count; i++) {
            all.addAll(items);
        }
        return value instanceof Tuple ? new Tuple(all) : all;
    }

    private static long bounded(int size, long count, int limit) {
        if (count > limit / size) {
            throw new ChatTemplateException(
                    "the chat template repeats something " + count + " times, which is more than " + limit + " in all");
        }
        return size * count;
    }

    private static List<Object> checked(List<Object> list) {
        if (list.size() > MAX_ITEMS) {
            throw new ChatTemplateException("the chat template makes a list of more than " + MAX_ITEMS + " items");
        }
        return list;
    }

    private static Object numbers(String operator, Object a, Object b) {
        Long x = PythonValues.asLong(a);
        Long y = PythonValues.asLong(b);
        boolean divides = operator.equals("/") || operator.equals("//") || operator.equals("%");
        if (divides && PythonValues.asDouble(b) == 0) {
            throw new ChatTemplateException("division by zero");
        }
        try {
            return x != null && y != null && !operator.equals("/")
                    ? integers(operator, x, y)
                    : doubles(operator, PythonValues.asDouble(a), PythonValues.asDouble(b));
        } catch (ArithmeticException _) {
            throw new ChatTemplateException("the result of " + a + " " + operator + " " + b + " is too large");
        }
    }

    private static Object integers(String operator, long x, long y) {
        return switch (operator) {
            case "+" -> Math.addExact(x, y);
            case "-" -> Math.subtractExact(x, y);
            case "*" -> Math.multiplyExact(x, y);
            case "//" -> Math.floorDivExact(x, y);
            case "%" -> Math.floorMod(x, y);
            default -> y < 0 ? doubles("**", (double) x, (double) y) : (Object) power(x, y);
        };
    }

    private static long power(long base, long exponent) {
        if (base == 0 || base == 1 || exponent == 0) {
            return exponent == 0 ? 1 : base;
        }
        if (base == -1) {
            return exponent % 2 == 0 ? 1 : -1;
        }
        long result = 1;
        for (long i = 0; i < exponent; i++) {
            result = Math.multiplyExact(result, base);
        }
        return result;
    }

    private static Object doubles(String operator, double x, double y) {
        return switch (operator) {
            case "+" -> x + y;
            case "-" -> x - y;
            case "*" -> x * y;
            case "/" -> x / y;
            case "//" -> Math.rint((x - remainder(x, y)) / y);
            case "%" -> remainder(x, y);
            default -> power(x, y);
        };
    }

    /** With the sign of the divisor. */
    private static double remainder(double x, double y) {
        double remainder = x % y;
        return remainder != 0 && remainder < 0 != y < 0 ? remainder + y : Math.copySign(remainder, y);
    }

    private static double power(double x, double y) {
        double power = Math.pow(x, y);
        if (!Double.isFinite(power) && Double.isFinite(x) && Double.isFinite(y)) {
            throw new ChatTemplateException(x + " to the power of " + y + " is not a finite number");
        }
        return power;
    }

    static boolean compares(String operator, Object a, Object b, JinjaBudget budget) {
        return switch (operator) {
            case "==" -> PythonValues.areEqual(a, b, budget);
            case "!=" -> !PythonValues.areEqual(a, b, budget);
            case "in" -> contains(b, a, budget);
            case "not in" -> !contains(b, a, budget);
            default -> ordered(operator, a, b, budget);
        };
    }

    private static boolean ordered(String operator, Object a, Object b, JinjaBudget budget) {
        if (PythonValues.isNumber(a) && PythonValues.isNumber(b) && (PythonValues.isNan(a) || PythonValues.isNan(b))) {
            return false;
        }
        int order = PythonValues.compare(a, b, operator, budget);
        return switch (operator) {
            case "<" -> order < 0;
            case "<=" -> order <= 0;
            case ">" -> order > 0;
            default -> order >= 0;
        };
    }

    static boolean contains(Object container, Object item, JinjaBudget budget) {
        switch (container) {
            case String s -> {
                if (!(item instanceof String wanted)) {
                    throw new ChatTemplateException(
                            "'in <string>' requires string as left operand, not " + PythonValues.typeName(item));
                }
                budget.search(s, wanted);
                return s.contains(wanted);
            }
            case Map<?, ?> map -> {
                if (!PythonValues.isKey(item)) {
                    throw new ChatTemplateException("a " + PythonValues.typeName(item) + " cannot be a key of a dict");
                }
                return PythonValues.find(map, item) != null;
            }
            default -> {
                for (Iterator<Object> items = PythonValues.iterator(container); items.hasNext(); ) {
                    if (PythonValues.areEqual(items.next(), item, budget)) {
                        return true;
                    }
                }
                return false;
            }
        }
    }

    static Object unary(String operator, Object value, JinjaBudget budget) {
        if (operator.equals("not")) {
            return !PythonValues.isTrue(value);
        }
        PythonValues.requireDefined(value);
        Long whole = PythonValues.asLong(value);
        if (whole != null) {
            return operator.equals("-") ? arithmetic("-", 0L, whole, budget) : whole;
        }
        if (value instanceof Double d) {
            return operator.equals("-") ? -d : d;
        }
        throw new ChatTemplateException(
                "bad operand type for unary " + operator + ": '" + PythonValues.typeName(value) + "'");
    }

    /** An element by its place or key, or null when there is none. */
    static @Nullable Object item(Object container, Object index) {
        Long place = PythonValues.asLong(index);
        return switch (container) {
            case Map<?, ?> map -> PythonValues.find(map, index);
            case PythonValues.View view when view.isRange() -> item(view.items(), index);
            case List<?> list
            when place != null -> {
                long at = place < 0 ? place + list.size() : place;
                yield at >= 0 && at < list.size() ? list.get((int) at) : null;
            }
            case String s
            when place != null -> {
                long length = s.codePointCount(0, s.length());
                long at = place < 0 ? place + length : place;
                if (at < 0 || at >= length) {
                    yield null;
                }
                yield Character.toString(s.codePointAt(s.offsetByCodePoints(0, (int) at)));
            }
            default -> null;
        };
    }

    /** {@code value[start:stop:step]}; null is a bound left out. */
    static Object slice(
            Object value, @Nullable Long start, @Nullable Long stop, @Nullable Long step, JinjaBudget budget) {
        long by = step == null ? 1 : step;
        if (by == 0) {
            throw new ChatTemplateException("slice step cannot be zero");
        }
        if (!(value instanceof String) && !(value instanceof List<?>)) {
            PythonValues.requireDefined(value);
            throw new ChatTemplateException("'" + PythonValues.typeName(value) + "' object is not subscriptable");
        }
        int[] points = value instanceof String s ? s.codePoints().toArray() : new int[0];
        List<?> items = value instanceof List<?> list ? list : List.of();
        int length = value instanceof String ? points.length : items.size();
        budget.work(length);
        int from = bound(start, length, by, by > 0 ? 0 : length - 1);
        int to = bound(stop, length, by, by > 0 ? length : -1);
        StringBuilder text = new StringBuilder();
        List<Object> list = new ArrayList<>();
        by = Math.clamp(by, -length - 1L, length + 1L);
        for (long i = from; by > 0 ? i < to : i > to; i += by) {
            if (value instanceof String) {
                text.appendCodePoint(points[(int) i]);
            } else {
                list.add(items.get((int) i));
            }
        }
        return value instanceof String ? text.toString() : value instanceof Tuple ? new Tuple(list) : list;
    }

    private static int bound(@Nullable Long given, int length, long step, int fallback) {
        if (given == null) {
            return fallback;
        }
        long at = given < 0 ? Math.max(given, -length - 1L) + length : given;
        return step > 0 ? Math.clamp(at, 0, length) : Math.clamp(at, -1, length - 1);
    }
}
