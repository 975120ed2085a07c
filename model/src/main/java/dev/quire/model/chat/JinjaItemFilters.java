package dev.quire.model.chat;

import dev.quire.model.chat.JinjaFilters.Filter;
import dev.quire.model.chat.PythonValues.Generator;
import dev.quire.model.chat.PythonValues.Undefined;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Filters that look at each item: map, select and its kin. Their work is done when an item is asked for. */
final class JinjaItemFilters {
    static final Map<String, Filter> FILTERS = Map.of(
            "map", new Filter(Filter.ANY, JinjaItemFilters::map),
            "select", chosen(false, true),
            "reject", chosen(false, false),
            "selectattr", chosen(true, true),
            "rejectattr", chosen(true, false));

    private static final int MAX_INDEX_DIGITS = 9;

    private JinjaItemFilters() {}

    private static Object map(Object value, JinjaArguments arguments, JinjaBudget budget) {
        UnaryOperator<Object> change = change(arguments, budget);
        return new Generator(new LazyItems(truthyItems(value), budget) {
            @Override
            Object map(Object item) {
                return change.apply(item);
            }
        });
    }

    /** Whatever is false has no items here, even what cannot be gone through. */
    private static Iterator<Object> truthyItems(Object value) {
        return PythonValues.iterator(PythonValues.isTrue(value) ? value : List.of());
    }

    private static UnaryOperator<Object> change(JinjaArguments arguments, JinjaBudget budget) {
        List<Object> positional = arguments.positional();
        if (!positional.isEmpty()) {
            JinjaArguments rest = arguments.after(1);
            String name = PythonText.str(positional.getFirst(), budget);
            return item -> JinjaFilters.apply(name, item, rest, budget);
        }
        Object attribute = arguments.named().get("attribute");
        if (attribute == null) {
            throw new ChatTemplateException("map requires a filter argument");
        }
        arguments.check(List.of("attribute", "default"));
        Object fallback = arguments.get(1, "default", PythonValues.NONE);
        return attribute(attribute, fallback, budget);
    }

    private static Filter chosen(boolean byAttribute, boolean wanted) {
        return new Filter(Filter.ANY, (value, arguments, budget) -> {
            Predicate<Object> choice = choice(arguments, byAttribute, budget);
            return new Generator(new LazyItems(truthyItems(value), budget) {
                @Override
                @Nullable
                Object map(Object item) {
                    return choice.test(item) == wanted ? item : null;
                }
            });
        });
    }

    private static Predicate<Object> choice(JinjaArguments arguments, boolean byAttribute, JinjaBudget budget) {
        List<Object> positional = arguments.positional();
        if (byAttribute && positional.isEmpty()) {
            throw new ChatTemplateException("Missing parameter for attribute name");
        }
        UnaryOperator<Object> of = byAttribute ? attribute(positional.getFirst(), budget) : UnaryOperator.identity();
        int used = byAttribute ? 1 : 0;
        if (positional.size() == used) {
            return item -> PythonValues.isTrue(of.apply(item));
        }
        String test = PythonText.str(positional.get(used), budget);
        JinjaArguments rest = arguments.after(used + 1);
        return item -> JinjaTests.holds(test, of.apply(item), rest, budget);
    }

    /** Looks up an attribute of an item: names and indexes with points between; none is the item itself. */
    static UnaryOperator<Object> attribute(Object attribute, JinjaBudget budget) {
        return attribute(attribute, PythonValues.NONE, budget);
    }

    private static UnaryOperator<Object> attribute(Object attribute, Object fallback, JinjaBudget budget) {
        List<Object> path = path(attribute);
        return item -> {
            Object value = item;
            for (Object part : path) {
                budget.step();
                value = PythonAttributes.item(value, part, budget);
                if (value instanceof Undefined && fallback != PythonValues.NONE) {
                    value = fallback;
                }
            }
            return value;
        };
    }

    private static List<Object> path(Object attribute) {
        if (attribute == PythonValues.NONE) {
            return List.of();
        }
        if (!(attribute instanceof String names)) {
            return List.of(attribute);
        }
        List<Object> path = new ArrayList<>();
        for (String part : names.split("\\.", -1)) {
            boolean index = !part.isEmpty()
                    && part.length() <= MAX_INDEX_DIGITS
                    && part.chars().allMatch(c -> c >= '0' && c <= '9');
            path.add(index ? (Object) Long.parseLong(part) : part);
        }
        return path;
    }
}
