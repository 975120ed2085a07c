package dev.quire.model.chat;

import dev.quire.model.chat.JinjaFilters.Filter;
import dev.quire.model.chat.PythonValues.Markup;
import dev.quire.model.chat.PythonValues.Tuple;
import dev.quire.model.chat.PythonValues.Undefined;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Filters that make texts. */
final class JinjaTextFilters {
    private static final int MAX_INDENT = 1_000;

    static final Map<String, Filter> FILTERS = Map.ofEntries(
            Map.entry(
                    "tojson",
                    JinjaFilters.of(
                            (value, arguments, budget) -> new JsonText(arguments, budget).write(value),
                            JsonText.PARAMETERS.toArray(new String[0]))),
            Map.entry("string", JinjaFilters.of((value, _, budget) -> string(value, budget))),
            Map.entry("trim", JinjaFilters.of(JinjaTextFilters::trim, "chars")),
            Map.entry("upper", cased("upper")),
            Map.entry("lower", cased("lower")),
            Map.entry("capitalize", cased("capitalize")),
            Map.entry("title", JinjaFilters.of((value, _, budget) -> title(text(value, budget), budget))),
            Map.entry("replace", JinjaFilters.of(JinjaTextFilters::replace, "old", "new", "count")),
            Map.entry("indent", JinjaFilters.of(JinjaTextFilters::indent, "width", "first", "blank")),
            Map.entry("format", new Filter(Filter.ANY, JinjaTextFilters::format)),
            Map.entry("escape", JinjaFilters.of((value, _, budget) -> escape(value, budget))),
            Map.entry("e", JinjaFilters.of((value, _, budget) -> escape(value, budget))),
            Map.entry("safe", JinjaFilters.of((value, _, budget) -> new Markup(PythonText.str(value, budget)))),
            Map.entry("default", JinjaFilters.of(JinjaTextFilters::fallback, "default_value", "boolean")),
            Map.entry("d", JinjaFilters.of(JinjaTextFilters::fallback, "default_value", "boolean")));

    private JinjaTextFilters() {}

    private static Filter cased(String name) {
        return JinjaFilters.of((value, _, budget) -> PythonMethods.cased(text(value, budget), name, budget));
    }

    private static Object fallback(Object value, JinjaArguments arguments, JinjaBudget budget) {
        boolean missing =
                value instanceof Undefined || (arguments.flag(1, "boolean", false) && !PythonValues.isTrue(value));
        return missing ? arguments.get(0, "default_value", "") : value;
    }

    /** The input as text. Escaped text would stay so in Python, which is not supported. */
    private static String text(Object value, JinjaBudget budget) {
        if (value instanceof Markup) {
            throw new ChatTemplateException("this filter is not supported after escape or safe");
        }
        return PythonText.str(value, budget);
    }

    private static Object string(Object value, JinjaBudget budget) {
        return value instanceof Markup ? value : PythonText.str(value, budget);
    }

    private static String trim(Object value, JinjaArguments arguments, JinjaBudget budget) {
        String text = text(value, budget);
        budget.text(text.length());
        return arguments.get(0, "chars", PythonValues.NONE) == PythonValues.NONE
                ? PythonText.strip(text, true, true)
                : PythonText.strip(text, arguments.text(0, "chars"), true, true);
    }

    /** Upper case after white space and opening brackets, lower case elsewhere. */
    private static String title(String text, JinjaBudget budget) {
        budget.text(text.length());
        StringBuilder out = new StringBuilder(text.length());
        int start = 0;
        for (int i = 0; i <= text.length(); i++) {
            boolean separates =
                    i == text.length() || PythonText.isSpace(text.charAt(i)) || "-({[<".indexOf(text.charAt(i)) >= 0;
            if (!separates) {
                continue;
            }
            if (i > start) {
                int rest = text.offsetByCodePoints(start, 1);
                out.append(text.substring(start, rest).toUpperCase(Locale.ROOT));
                out.append(text.substring(rest, i).toLowerCase(Locale.ROOT));
            }
            if (i < text.length()) {
                out.append(text.charAt(i));
            }
            start = i + 1;
        }
        return out.toString();
    }

    private static String replace(Object value, JinjaArguments arguments, JinjaBudget budget) {
        Object count = arguments.get(2, "count", PythonValues.NONE);
        return PythonMethods.replaced(
                text(value, budget),
                text(arguments.require(0, "old"), budget),
                text(arguments.require(1, "new"), budget),
                count == PythonValues.NONE ? -1 : arguments.integer(2, "count", -1),
                budget);
    }

    private static String indent(Object value, JinjaArguments arguments, JinjaBudget budget) {
        if (!(value instanceof String text)) {
            PythonValues.requireDefined(value);
            throw new ChatTemplateException("indent needs a str, not a " + PythonValues.typeName(value));
        }
        Object given = arguments.get(0, "width", 4L);
        long width = given instanceof String ? 0 : arguments.integer(0, "width", 4);
        if (width > MAX_INDENT) {
            throw new ChatTemplateException("an indent of " + width + " is too large");
        }
        String indent = given instanceof String s ? s : " ".repeat((int) Math.max(0, width));
        boolean blank = arguments.flag(2, "blank", false);
        StringBuilder out = new StringBuilder(arguments.flag(1, "first", false) ? indent : "");
        List<Object> lines = PythonSplit.lines(text + "\n", false, budget);
        for (int i = 0; i < lines.size(); i++) {
            String line = (String) lines.get(i);
            if (i > 0) {
                out.append('\n').append(blank || !line.isEmpty() ? indent : "");
            }
            out.append(line);
            budget.work(indent.length());
            budget.growing(out);
        }
        budget.text(out.length());
        return out.toString();
    }

    private static String format(Object value, JinjaArguments arguments, JinjaBudget budget) {
        if (!arguments.positional().isEmpty() && !arguments.named().isEmpty()) {
            throw new ChatTemplateException("can't handle positional and keyword arguments at the same time");
        }
        Object values = arguments.named().isEmpty() ? new Tuple(arguments.positional()) : arguments.named();
        return PythonFormat.percent(text(value, budget), values, budget);
    }

    private static Markup escape(Object value, JinjaBudget budget) {
        if (value instanceof Markup markup) {
            return markup;
        }
        String text = PythonText.str(value, budget);
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '&' -> out.append("&amp;");
                case '<' -> out.append("&lt;");
                case '>' -> out.append("&gt;");
                case '"' -> out.append("&#34;");
                case '\'' -> out.append("&#39;");
                default -> out.append(c);
            }
        }
        budget.text(out.length());
        return new Markup(out.toString());
    }
}
