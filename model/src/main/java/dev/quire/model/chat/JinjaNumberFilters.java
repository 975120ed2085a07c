package dev.quire.model.chat;

import dev.quire.model.chat.JinjaFilters.Filter;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Filters that make numbers. */
final class JinjaNumberFilters {
    static final Map<String, Filter> FILTERS = Map.of(
            "length", JinjaFilters.of((value, _, _) -> PythonValues.length(value)),
            "count", JinjaFilters.of((value, _, _) -> PythonValues.length(value)),
            "int", JinjaFilters.of((value, arguments, _) -> whole(value, arguments), "default", "base"),
            "float", JinjaFilters.of((value, arguments, _) -> real(value, arguments), "default"),
            "abs", JinjaFilters.of(JinjaNumberFilters::abs),
            "round", JinjaFilters.of((value, arguments, _) -> round(value, arguments), "precision", "method"));

    private static final int MAX_DIGITS = 400;
    private static final Pattern INTEGER = Pattern.compile("[+-]?\\d++(?:_\\d++){0,99}");
    private static final Pattern FLOAT = Pattern.compile(
            "[+-]?(?:(?:\\d++(?:_\\d++){0,99}(?:\\.\\d*+)?|\\.\\d++)(?:[eE][+-]?\\d++)?|inf|infinity|nan)",
            Pattern.CASE_INSENSITIVE);

    private JinjaNumberFilters() {}

    private static Object whole(Object value, JinjaArguments arguments) {
        PythonValues.requireDefined(value);
        if (value instanceof String s) {
            Object parsed = parsed(s, arguments.integer(1, "base", 10));
            Double number = parsed == null ? number(s) : null;
            parsed = parsed == null && number != null && Double.isFinite(number) ? truncated(number) : parsed;
            return parsed == null ? arguments.get(0, "default", 0L) : parsed;
        }
        if (value instanceof Double d) {
            if (Double.isInfinite(d)) {
                throw new ChatTemplateException("cannot convert float infinity to integer");
            }
            return d.isNaN() ? arguments.get(0, "default", 0L) : truncated(d);
        }
        Long whole = PythonValues.asLong(value);
        return whole == null ? arguments.get(0, "default", 0L) : whole;
    }

    private static long truncated(double number) {
        return new BigDecimal(number).toBigInteger().longValueExact();
    }

    private static @Nullable Object parsed(String text, long base) {
        String digits = shortened(text);
        if (base == 10) {
            return INTEGER.matcher(digits).matches()
                    ? (Object) new BigInteger(digits.replace("_", "")).longValueExact()
                    : null;
        }
        if (base < 2 || base > 36) {
            throw new ChatTemplateException("int: a base of " + base + " is not supported");
        }
        String prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "-";
        String plain = digits.regionMatches(true, 0, prefix, 0, 2) ? digits.substring(2) : digits;
        try {
            return plain.startsWith("+") && plain.length() < digits.length()
                    ? null
                    : (Object) Long.parseLong(plain, (int) base);
        } catch (NumberFormatException _) {
            return null;
        }
    }

    private static String shortened(String text) {
        if (text.length() > MAX_DIGITS) {
            throw new ChatTemplateException("a number of " + text.length() + " characters is too long");
        }
        return PythonText.strip(text, true, true);
    }

    private static @Nullable Double number(String text) {
        String digits = shortened(text);
        if (!FLOAT.matcher(digits).matches()) {
            return null;
        }
        boolean negative = digits.startsWith("-");
        String unsigned = negative || digits.startsWith("+") ? digits.substring(1) : digits;
        double number = switch (Character.toLowerCase(unsigned.charAt(0))) {
            case 'i' -> Double.POSITIVE_INFINITY;
            case 'n' -> Double.NaN;
            default -> Double.parseDouble(unsigned.replace("_", ""));
        };
        return negative ? -number : number;
    }

    private static Object real(Object value, JinjaArguments arguments) {
        PythonValues.requireDefined(value);
        if (PythonValues.isNumber(value)) {
            return PythonValues.asDouble(value);
        }
        Double number = value instanceof String s ? number(s) : null;
        return number == null ? arguments.get(0, "default", 0.0) : number;
    }

    private static Object abs(Object value, JinjaArguments arguments, JinjaBudget budget) {
        PythonValues.requireDefined(value);
        if (value instanceof Double d) {
            return Math.abs(d);
        }
        return Math.absExact(requireNumber(PythonValues.asLong(value), value));
    }

    private static <T> T requireNumber(@Nullable T number, Object value) {
        if (number == null) {
            throw new ChatTemplateException("a number is needed, not a " + PythonValues.typeName(value));
        }
        return number;
    }

    private static Object round(Object value, JinjaArguments arguments) {
        PythonValues.requireDefined(value);
        long precision = arguments.integer(0, "precision", 0);
        String method = arguments.text(1, "method", "common");
        requireNumber(PythonValues.isNumber(value) ? value : null, value);
        if (precision < 0 || precision > 300) {
            throw new ChatTemplateException("round: a precision of " + precision + " is not supported");
        }
        double number = PythonValues.asDouble(value);
        switch (method) {
            case "common" -> {
                return value instanceof Double
                        ? (Object) rounded(number, (int) precision)
                        : (Object) requireNumber(PythonValues.asLong(value), value);
            }
            case "ceil", "floor" -> {
                if (!Double.isFinite(number)) {
                    throw new ChatTemplateException("cannot round " + PythonText.number(number));
                }
                double power = Math.pow(10, (double) precision);
                double whole = method.equals("ceil") ? Math.ceil(number * power) : Math.floor(number * power);
                return whole / power;
            }
            default -> throw new ChatTemplateException("method must be common, ceil or floor");
        }
    }

    private static double rounded(double number, int precision) {
        return Double.isFinite(number)
                ? Math.copySign(
                        new BigDecimal(number)
                                .setScale(precision, RoundingMode.HALF_EVEN)
                                .doubleValue(),
                        number)
                : number;
    }
}
