package dev.quire.model.chat;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Python's two ways to put values into a text: {@code %} and {@code str.format}. */
final class PythonFormat {
    private static final Pattern PERCENT =
            Pattern.compile("%(?:\\((\\w++)\\))?([-+ 0#]*+)(\\d*+)(?:\\.(\\d++))?(.?)", Pattern.DOTALL);
    private static final Pattern FIELD =
            Pattern.compile("\\{\\{|}}|\\{([\\w.\\[\\]]*+)(?:!([rs]))?(?::([^{}]*+))?}|[{}]");
    private static final Pattern SPEC =
            Pattern.compile("(?:(.)?([<>^]))?([-+ ]?)(0?)(\\d*+)(,?)(?:\\.(\\d++))?([sdf%xgn]?)", Pattern.DOTALL);
    private static final int MAX_WIDTH = 1_000;

    private PythonFormat() {}

    /** {@code format % values}: a tuple is several values, a dict named ones. */
    static String percent(String format, Object values, JinjaBudget budget) {
        List<?> positional = values instanceof PythonValues.Tuple tuple ? tuple : List.of(values);
        int used = 0;
        StringBuilder out = new StringBuilder();
        Matcher matcher = PERCENT.matcher(format);
        while (matcher.find()) {
            matcher.appendReplacement(out, "");
            if (matcher.group(5).equals("%")) {
                out.append('%');
                continue;
            }
            Object value;
            if (matcher.group(1) != null) {
                value = named(values, matcher.group(1));
            } else if (used < positional.size()) {
                value = positional.get(used++);
            } else {
                throw new ChatTemplateException("not enough arguments for format string");
            }
            String flags = matcher.group(2);
            String text = converted(matcher.group(5), value, matcher.group(4), flags, budget);
            char fill = flags.contains("0") && PythonValues.isNumber(value) ? '0' : ' ';
            out.append(padded(text, width(matcher.group(3)), flags.contains("-") ? '<' : '>', fill));
            budget.text(out.length());
        }
        matcher.appendTail(out);
        if (used < positional.size() && !hasKeys(values)) {
            throw new ChatTemplateException("not all arguments converted during string formatting");
        }
        budget.text(out.length());
        return out.toString();
    }

    /** What Python takes for a mapping, of which a format need not use all. */
    private static boolean hasKeys(Object values) {
        return values instanceof Map<?, ?>
                || values instanceof PythonValues.Undefined
                || (values instanceof List<?> && !(values instanceof PythonValues.Tuple));
    }

    private static Object named(Object values, String name) {
        Object value = values instanceof Map<?, ?> map ? map.get(name) : null;
        if (value == null) {
            throw new ChatTemplateException("the format names '" + name + "', which is not there");
        }
        return value;
    }

    private static String converted(String type, Object value, String precision, String flags, JinjaBudget budget) {
        String text = switch (type) {
            case "s" -> cut(PythonText.str(value, budget), precision);
            case "r" -> cut(PythonText.repr(value, budget), precision);
            case "d", "i" -> String.valueOf(whole(value));
            case "x" -> Long.toHexString(whole(value));
            case "f", "F" -> fixed(number(value), precision == null ? 6 : width(precision));
            default -> throw new ChatTemplateException("unsupported format character '" + type + "'");
        };
        return flags.contains("+") && PythonValues.isNumber(value) && !text.startsWith("-") ? "+" + text : text;
    }

    /** {@code format.format(…)}. */
    static String braces(String format, JinjaArguments arguments, JinjaBudget budget) {
        StringBuilder out = new StringBuilder();
        Matcher matcher = FIELD.matcher(format);
        int automatic = 0;
        while (matcher.find()) {
            matcher.appendReplacement(out, "");
            String whole = matcher.group();
            if (whole.equals("{{") || whole.equals("}}")) {
                out.append(whole.charAt(0));
                continue;
            }
            String name = matcher.group(1);
            if (name == null) {
                throw new ChatTemplateException("Single '" + whole + "' encountered in format string");
            }
            Object value = field(name.isEmpty() ? String.valueOf(automatic++) : name, arguments);
            String spec = matcher.group(3) == null ? "" : matcher.group(3);
            out.append(
                    "r".equals(matcher.group(2))
                            ? specified(PythonText.repr(value, budget), spec, budget)
                            : specified(value, spec, budget));
            budget.text(out.length());
        }
        matcher.appendTail(out);
        budget.text(out.length());
        return out.toString();
    }

    private static Object field(String name, JinjaArguments arguments) {
        if (name.indexOf('.') >= 0 || name.indexOf('[') >= 0) {
            throw new ChatTemplateException("format: looking into '" + name + "' is not supported");
        }
        List<Object> positional = arguments.positional();
        Object value = arguments.named().get(name);
        if (name.chars().allMatch(c -> c >= '0' && c <= '9') && name.length() < 4) {
            int position = Integer.parseInt(name);
            value = position < positional.size() ? positional.get(position) : null;
        }
        if (value == null) {
            throw new ChatTemplateException("the format names '" + name + "', which is not among the arguments");
        }
        return value;
    }

    private static String specified(Object value, String spec, JinjaBudget budget) {
        Matcher matcher = SPEC.matcher(spec);
        if (!matcher.matches()) {
            throw new ChatTemplateException("format specification '" + spec + "' is not supported");
        }
        boolean isNumber = PythonValues.isNumber(value) && !(value instanceof Boolean);
        String type = matcher.group(8);
        String precision = matcher.group(7);
        String text = switch (type) {
            case "d" -> String.valueOf(whole(value));
            case "x" -> Long.toHexString(whole(value));
            case "f" -> fixed(number(value), precision == null ? 6 : width(precision));
            case "%" -> fixed(number(value) * 100, precision == null ? 6 : width(precision)) + "%";
            case "g", "n" -> throw new ChatTemplateException("format specification '" + spec + "' is not supported");
            default -> cut(PythonText.str(value, budget), isNumber ? null : precision);
        };
        text = matcher.group(6).isEmpty() ? text : grouped(text);
        text = matcher.group(3).equals("+") && isNumber && !text.startsWith("-") ? "+" + text : text;
        boolean zero = !matcher.group(4).isEmpty();
        char fill = matcher.group(1) != null ? matcher.group(1).charAt(0) : zero ? '0' : ' ';
        char align = matcher.group(2) != null ? matcher.group(2).charAt(0) : isNumber ? '>' : '<';
        return padded(text, width(matcher.group(5)), align, fill);
    }

    private static String grouped(String number) {
        int point = number.indexOf('.') < 0 ? number.length() : number.indexOf('.');
        StringBuilder out = new StringBuilder(number);
        for (int i = point - 3; i > (number.startsWith("-") ? 1 : 0); i -= 3) {
            out.insert(i, ',');
        }
        return out.toString();
    }

    private static String padded(String text, int width, char align, char fill) {
        int missing = width - text.codePointCount(0, text.length());
        if (missing <= 0) {
            return text;
        }
        String padding = String.valueOf(fill).repeat(missing);
        boolean signed = fill == '0' && (text.startsWith("-") || text.startsWith("+"));
        return switch (align) {
            case '<' -> text + padding;
            case '^' -> padding.substring(0, missing / 2) + text + padding.substring(missing / 2);
            default -> signed ? text.charAt(0) + padding + text.substring(1) : padding + text;
        };
    }

    /** A number with so many digits after the point, rounded as Python rounds. */
    static String fixed(double value, int digits) {
        return Double.isFinite(value)
                ? new BigDecimal(value).setScale(digits, RoundingMode.HALF_EVEN).toPlainString()
                : PythonText.number(value);
    }

    private static String cut(String text, @org.jspecify.annotations.Nullable String precision) {
        return precision == null || width(precision) >= text.length()
                ? text
                : text.substring(
                        0,
                        text.offsetByCodePoints(0, Math.min(width(precision), text.codePointCount(0, text.length()))));
    }

    private static int width(String digits) {
        if (digits.length() > 4 || (!digits.isEmpty() && Integer.parseInt(digits) > MAX_WIDTH)) {
            throw new ChatTemplateException("a width of " + digits + " is too large");
        }
        return digits.isEmpty() ? 0 : Integer.parseInt(digits);
    }

    private static long whole(Object value) {
        Long whole = PythonValues.asLong(value);
        if (whole != null) {
            return whole;
        }
        return (long) number(value);
    }

    private static double number(Object value) {
        if (!PythonValues.isNumber(value)) {
            throw new ChatTemplateException("a real number is required, not " + PythonValues.typeName(value));
        }
        return PythonValues.asDouble(value);
    }
}
