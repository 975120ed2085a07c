package dev.quire.model.chat;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What can stand after {@code |}. */
final class JinjaFilters {
    /** What a filter does. */
    @FunctionalInterface
    interface Body {
        Object apply(Object input, JinjaArguments arguments, JinjaBudget budget);
    }

    /** @param parameters by position; those of a filter that checks its arguments itself are {@link #ANY} */
    record Filter(List<String> parameters, Body body) {
        static final List<String> ANY = List.of("*");

        Object apply(Object input, JinjaArguments arguments, JinjaBudget budget) {
            if (!parameters.equals(ANY)) {
                arguments.check(parameters);
            }
            return body.apply(input, arguments, budget);
        }
    }

    private static final Map<String, Filter> FILTERS = new HashMap<>();

    static {
        FILTERS.putAll(JinjaTextFilters.FILTERS);
        FILTERS.putAll(JinjaListFilters.FILTERS);
        FILTERS.putAll(JinjaNumberFilters.FILTERS);
    }

    private JinjaFilters() {}

    static boolean isKnown(String name) {
        return FILTERS.containsKey(name);
    }

    /** @throws ChatTemplateException also when there is no such filter, which {@code map} may ask for */
    static Object apply(String name, Object input, JinjaArguments arguments, JinjaBudget budget) {
        Filter filter = FILTERS.get(name);
        if (filter == null) {
            throw new ChatTemplateException("there is no filter named '" + name + "'");
        }
        try {
            return filter.apply(input, arguments, budget);
        } catch (ArithmeticException _) {
            throw new ChatTemplateException("a number is too large for the filter '" + name + "'");
        }
    }

    static Filter of(Body body, String... parameters) {
        return new Filter(List.of(parameters), body);
    }
}
