package dev.quire.model.chat;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.List;
import java.util.Map;

/** Values as Python prints them. */
final class PythonText {
    private PythonText() {}

    /** As {@code str()} does; an undefined value is empty. */
    static String str(Object value, JinjaBudget budget) {
        if (value instanceof String s) {
            return s;
        }
        StringBuilder out = new StringBuilder();
        if (value instanceof PythonValues.Markup markup) {
            return markup.text();
        }
        if (!(value instanceof PythonValues.Undefined)) {
            repr(value, out, budget);
        }
        return out.toString();
    }

    static String repr(Object value, JinjaBudget budget) {
        StringBuilder out = new StringBuilder();
        repr(value, out, budget);
        return out.toString();
    }

    private static void repr(Object value, StringBuilder out, JinjaBudget budget) {
        budget.step();
        budget.enter();
        int before = out.length();
        switch (value) {
            case Boolean b -> out.append(b ? "True" : "False");
            case Long n -> out.append(n.longValue());
            case Double d -> out.append(number(d));
            case String s -> quoted(s, out);
            case PythonValues.Tuple tuple -> {
                items(tuple, "(", tuple.size() == 1 ? ",)" : ")", out, budget);
            }
            case List<?> list -> items(list, "[", "]", out, budget);
            case Map<?, ?> map -> dict(map, out, budget);
            case PythonValues.Undefined _ -> out.append("Undefined");
            case PythonValues.Namespace namespace -> {
                out.append("<Namespace ");
                dict(namespace.fields(), out, budget);
                out.append('>');
            }
            case PythonValues.View view -> view(view, out, budget);
            default -> {
                if (value != PythonValues.NONE) {
                    throw new ChatTemplateException("a " + PythonValues.typeName(value) + " cannot be written as text");
                }
                out.append("None");
            }
        }
        budget.text(out.length() - before);
        budget.growing(out);
        budget.leave();
    }

    private static void items(List<?> items, String open, String close, StringBuilder out, JinjaBudget budget) {
        String separator = open;
        for (Object item : items) {
            out.append(separator);
            repr(item, out, budget);
            separator = ", ";
        }
        out.append(items.isEmpty() ? open : "").append(close);
    }

    private static void view(PythonValues.View view, StringBuilder out, JinjaBudget budget) {
        out.append(view.printed());
        if (!view.isRange()) {
            items(view.items(), "([", "])", out, budget);
        }
    }

    private static void dict(Map<?, ?> map, StringBuilder out, JinjaBudget budget) {
        String separator = "{";
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            out.append(separator);
            repr(entry.getKey(), out, budget);
            out.append(": ");
            repr(entry.getValue(), out, budget);
            separator = ", ";
        }
        out.append(map.isEmpty() ? "{" : "").append('}');
    }

    private static void quoted(String s, StringBuilder out) {
        char quote = s.indexOf('\'') >= 0 && s.indexOf('"') < 0 ? '"' : '\'';
        out.append(quote);
        s.codePoints().forEach(c -> {
            switch (c) {
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\\' -> out.append("\\\\");
                default -> {
                    if (c == quote) {
                        out.append('\\').append(quote);
                    } else if (isPrintable(c)) {
                        out.appendCodePoint(c);
                    } else {
                        out.append(
                                c < 0x100
                                        ? "\\x%02x".formatted(c)
                                        : c < 0x10000 ? "\\u%04x".formatted(c) : "\\U%08x".formatted(c));
                    }
                }
            }
        });
        out.append(quote);
    }

    private static boolean isPrintable(int codePoint) {
        return switch (Character.getType(codePoint)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR -> false;
            case Character.SPACE_SEPARATOR -> codePoint == ' ';
            default -> true;
        };
    }

    /** A float: the shortest digits that read back the same, with an exponent where Python has one. */
    static String number(double d) {
        if (Double.isNaN(d)) {
            return "nan";
        }
        if (Double.isInfinite(d)) {
            return d > 0 ? "inf" : "-inf";
        }
        if (d == 0) {
            return 1 / d < 0 ? "-0.0" : "0.0";
        }
        BigDecimal exact = new BigDecimal(Double.toString(d)).stripTrailingZeros();
        BigDecimal shorter = exact.round(new MathContext(1)); // Java has two digits where one would do
        exact = exact.precision() == 2 && shorter.doubleValue() == d ? shorter : exact;
        String digits = exact.unscaledValue().abs().toString();
        int exponent = digits.length() - 1 - exact.scale();
        String sign = d < 0 ? "-" : "";
        if (exponent >= -4 && exponent < 16) {
            String plain = exact.abs().toPlainString();
            return sign + plain + (plain.indexOf('.') < 0 ? ".0" : "");
        }
        String fraction = digits.length() > 1 ? "." + digits.substring(1) : "";
        return sign + digits.charAt(0) + fraction + "e" + (exponent < 0 ? "-" : "+")
                + (Math.abs(exponent) < 10 ? "0" : "") + Math.abs(exponent);
    }

    /** What {@code str.isspace} calls white space. */
    static boolean isSpace(int codePoint) {
        return Character.isWhitespace(codePoint) || Character.isSpaceChar(codePoint) || codePoint == 0x85;
    }

    static String strip(String s, boolean left, boolean right) {
        int from = 0;
        int to = s.length();
        while (left && from < to && isSpace(s.charAt(from))) {
            from++;
        }
        while (right && to > from && isSpace(s.charAt(to - 1))) {
            to--;
        }
        return s.substring(from, to);
    }

    /** Strips any of the given characters. */
    static String strip(String s, String characters, boolean left, boolean right) {
        int from = 0;
        int to = s.length();
        while (left && from < to && characters.indexOf(s.codePointAt(from)) >= 0) {
            from += Character.charCount(s.codePointAt(from));
        }
        while (right && to > from && characters.indexOf(s.codePointBefore(to)) >= 0) {
            to -= Character.charCount(s.codePointBefore(to));
        }
        return s.substring(from, to);
    }
}
