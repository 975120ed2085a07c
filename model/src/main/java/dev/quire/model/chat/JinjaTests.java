package dev.quire.model.chat;

import dev.quire.model.chat.PythonValues.Markup;
import dev.quire.model.chat.PythonValues.Undefined;
import dev.quire.model.chat.PythonValues.View;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What can stand after {@code is}. */
final class JinjaTests {
    private static final Set<String> OF_ONE = Set.of(
            "defined",
            "undefined",
            "none",
            "boolean",
            "true",
            "false",
            "integer",
            "float",
            "number",
            "string",
            "mapping",
            "sequence",
            "iterable",
            "callable",
            "escaped",
            "lower",
            "upper",
            "odd",
            "even");

    /** Tests of two values, and the operators they are. */
    private static final Map<String, String> OPERATORS = Map.ofEntries(
            Map.entry("eq", "=="),
            Map.entry("equalto", "=="),
            Map.entry("==", "=="),
            Map.entry("ne", "!="),
            Map.entry("!=", "!="),
            Map.entry("lt", "<"),
            Map.entry("lessthan", "<"),
            Map.entry("<", "<"),
            Map.entry("le", "<="),
            Map.entry("<=", "<="),
            Map.entry("gt", ">"),
            Map.entry("greaterthan", ">"),
            Map.entry(">", ">"),
            Map.entry("ge", ">="),
            Map.entry(">=", ">="),
            Map.entry("in", "in"));

    private JinjaTests() {}

    static boolean isKnown(String name) {
        return OF_ONE.contains(name)
                || OPERATORS.containsKey(name)
                || Set.of("divisibleby", "filter", "test").contains(name);
    }

    /** @throws ChatTemplateException also when there is no such test, which {@code select} may ask for */
    static boolean holds(String name, Object value, JinjaArguments arguments, JinjaBudget budget) {
        if (OF_ONE.contains(name)) {
            arguments.check(List.of());
            return ofOne(name, value, budget);
        }
        if (OPERATORS.containsKey(name)) {
            String parameter = name.equals("in") ? "seq" : "other";
            arguments.check(List.of(parameter));
            return PythonOperators.compares(OPERATORS.get(name), value, arguments.require(0, parameter), budget);
        }
        return switch (name) {
            case "divisibleby" -> {
                arguments.check(List.of("num"));
                Object rest = PythonOperators.arithmetic("%", value, arguments.require(0, "num"), budget);
                yield PythonValues.areEqual(rest, 0L, budget);
            }
            case "filter" -> value instanceof String filter && JinjaFilters.isKnown(filter);
            case "test" -> value instanceof String test && isKnown(test);
            default -> throw new ChatTemplateException("there is no test named '" + name + "'");
        };
    }

    private static boolean ofOne(String name, Object value, JinjaBudget budget) {
        return switch (name) {
            case "defined" -> !(value instanceof Undefined);
            case "undefined" -> value instanceof Undefined;
            case "none" -> value == PythonValues.NONE;
            case "boolean" -> value instanceof Boolean;
            case "true" -> value.equals(true);
            case "false" -> value.equals(false);
            case "integer" -> value instanceof Long;
            case "float" -> value instanceof Double;
            case "number" -> PythonValues.isNumber(value);
            case "string" -> value instanceof String || value instanceof Markup;
            case "mapping" -> value instanceof Map<?, ?>;
            case "sequence" -> isSequence(value);
            case "iterable" -> isSequence(value) || isOnlyIterable(value);
            case "callable" -> value instanceof PythonValues.Function || value instanceof Undefined;
            case "escaped" -> value instanceof Markup;
            case "lower", "upper" ->
                PythonMethods.is(PythonText.str(value, budget), name.equals("lower") ? "islower" : "isupper");
            default -> {
                Object rest = PythonOperators.arithmetic("%", value, 2L, budget);
                yield PythonValues.areEqual(rest, name.equals("odd") ? 1L : 0L, budget);
            }
        };
    }

    private static boolean isSequence(Object value) {
        return value instanceof String
                || value instanceof Markup
                || value instanceof List<?>
                || value instanceof Map<?, ?>
                || value instanceof Undefined
                || (value instanceof View view && view.isRange());
    }

    private static boolean isOnlyIterable(Object value) {
        return value instanceof View || value instanceof PythonValues.Generator || value instanceof JinjaLoop;
    }
}
