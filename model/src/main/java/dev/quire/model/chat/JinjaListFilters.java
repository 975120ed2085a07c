package dev.quire.model.chat;

import dev.quire.model.chat.JinjaFilters.Filter;
import dev.quire.model.chat.PythonValues.Generator;
import dev.quire.model.chat.PythonValues.Tuple;
import dev.quire.model.chat.PythonValues.Undefined;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Filters of lists and dicts; those that choose or change items are in {@link JinjaItemFilters}. */
final class JinjaListFilters {
    static final Map<String, Filter> FILTERS = new HashMap<>();

    static {
        FILTERS.put("first", JinjaFilters.of((value, _, _) -> first(value)));
        FILTERS.put("last", JinjaFilters.of((value, _, budget) -> last(value, budget)));
        FILTERS.put("list", JinjaFilters.of((value, _, budget) -> list(value, budget)));
        FILTERS.put("join", JinjaFilters.of(JinjaListFilters::join, "d", "attribute"));
        FILTERS.put("reverse", JinjaFilters.of((value, _, budget) -> reverse(value, budget)));
        FILTERS.put("items", JinjaFilters.of((value, _, budget) -> items(value, budget)));
        FILTERS.put("dictsort", JinjaFilters.of(JinjaListFilters::dictsort, "case_sensitive", "by", "reverse"));
        FILTERS.put("sort", JinjaFilters.of(JinjaListFilters::sort, "reverse", "case_sensitive", "attribute"));
        FILTERS.put("unique", JinjaFilters.of(JinjaListFilters::unique, "case_sensitive", "attribute"));
        FILTERS.put(
                "min",
                JinjaFilters.of(
                        (value, args, budget) -> extreme(value, args, -1, budget), "case_sensitive", "attribute"));
        FILTERS.put(
                "max",
                JinjaFilters.of(
                        (value, args, budget) -> extreme(value, args, 1, budget), "case_sensitive", "attribute"));
        FILTERS.put("sum", JinjaFilters.of(JinjaListFilters::sum, "attribute", "start"));
        FILTERS.put("batch", JinjaFilters.of(JinjaListFilters::batch, "linecount", "fill_with"));
        FILTERS.putAll(JinjaItemFilters.FILTERS);
    }

    private JinjaListFilters() {}

    private static Object first(Object value) {
        Iterator<Object> items = PythonValues.iterator(value);
        return items.hasNext() ? items.next() : new Undefined("No first item, sequence was empty.");
    }

    private static Object last(Object value, JinjaBudget budget) {
        if (value instanceof Generator) {
            throw new ChatTemplateException("'generator' object is not reversible");
        }
        List<Object> items = PythonValues.items(value, budget);
        return items.isEmpty() ? new Undefined("No last item, sequence was empty.") : items.getLast();
    }

    private static List<Object> list(Object value, JinjaBudget budget) {
        List<Object> items = PythonValues.items(value, budget);
        return value instanceof Tuple ? new ArrayList<>(items) : items;
    }

    private static Object reverse(Object value, JinjaBudget budget) {
        if (value instanceof String s) {
            budget.text(s.length());
            return new StringBuilder(s).reverse().toString();
        }
        List<Object> items = PythonValues.items(value, budget);
        budget.items(items.size());
        List<Object> reversed = new ArrayList<>(items);
        Collections.reverse(reversed);
        return value instanceof Generator ? reversed : new Generator(reversed.iterator());
    }

    private static Object items(Object value, JinjaBudget budget) {
        if (value instanceof Undefined) {
            return new Generator(Collections.emptyIterator());
        }
        Map<Object, Object> map = PythonValues.dict(value);
        budget.items(map.size());
        return new Generator(PythonMethods.pairs(map).iterator());
    }

    private static String join(Object value, JinjaArguments arguments, JinjaBudget budget) {
        String separator = PythonText.str(arguments.get(0, "d", ""), budget);
        UnaryOperator<Object> attribute =
                JinjaItemFilters.attribute(arguments.get(1, "attribute", PythonValues.NONE), budget);
        StringBuilder out = new StringBuilder();
        boolean first = true;
        for (Iterator<Object> items = PythonValues.iterator(value); items.hasNext(); ) {
            budget.step();
            out.append(first ? "" : separator).append(PythonText.str(attribute.apply(items.next()), budget));
            budget.growing(out);
            first = false;
        }
        budget.text(out.length());
        return out.toString();
    }

    /** Sorts by keys computed once for each item. */
    private static List<Object> sorted(
            List<Object> items, UnaryOperator<Object> key, boolean reverse, JinjaBudget budget) {
        budget.items(2L * items.size());
        List<Object[]> keyed = new ArrayList<>(items.size());
        for (Object item : items) {
            keyed.add(new Object[] {key.apply(item), item});
        }
        Comparator<Object[]> order = (a, b) -> PythonValues.compare(a[0], b[0], "<", budget);
        keyed.sort(reverse ? order.reversed() : order);
        List<Object> sorted = new ArrayList<>(items.size());
        keyed.forEach(pair -> sorted.add(pair[1]));
        return sorted;
    }

    private static UnaryOperator<Object> caseKey(boolean caseSensitive, JinjaBudget budget) {
        return value -> {
            if (caseSensitive || !(value instanceof String s)) {
                return value;
            }
            budget.text(s.length());
            return s.toLowerCase(Locale.ROOT);
        };
    }

    private static Object sort(Object value, JinjaArguments arguments, JinjaBudget budget) {
        UnaryOperator<Object> cased = caseKey(arguments.flag(1, "case_sensitive", false), budget);
        Object attribute = arguments.get(2, "attribute", PythonValues.NONE);
        List<UnaryOperator<Object>> parts = new ArrayList<>();
        for (Object part : attribute instanceof String s ? List.of((Object[]) s.split(",", -1)) : List.of(attribute)) {
            parts.add(JinjaItemFilters.attribute(part, budget));
        }
        UnaryOperator<Object> key = item -> {
            List<Object> keys = new ArrayList<>(parts.size());
            parts.forEach(part -> keys.add(cased.apply(part.apply(item))));
            return keys;
        };
        return sorted(PythonValues.items(value, budget), key, arguments.flag(0, "reverse", false), budget);
    }

    private static Object dictsort(Object value, JinjaArguments arguments, JinjaBudget budget) {
        String by = arguments.text(1, "by", "key");
        if (!by.equals("key") && !by.equals("value")) {
            throw new ChatTemplateException("You can only sort by either \"key\" or \"value\"");
        }
        UnaryOperator<Object> cased = caseKey(arguments.flag(0, "case_sensitive", false), budget);
        UnaryOperator<Object> key = pair -> cased.apply(((Tuple) pair).get(by.equals("key") ? 0 : 1));
        Map<Object, Object> map = PythonValues.dict(value);
        budget.items(map.size());
        return sorted(PythonMethods.pairs(map), key, arguments.flag(2, "reverse", false), budget);
    }

    private static Object unique(Object value, JinjaArguments arguments, JinjaBudget budget) {
        UnaryOperator<Object> cased = caseKey(arguments.flag(0, "case_sensitive", false), budget);
        UnaryOperator<Object> attribute =
                JinjaItemFilters.attribute(arguments.get(1, "attribute", PythonValues.NONE), budget);
        Map<Object, Object> seen = new HashMap<>();
        return new Generator(new LazyItems(PythonValues.iterator(value), budget) {
            @Override
            @Nullable
            Object map(Object item) {
                Object key = cased.apply(attribute.apply(item));
                if (PythonValues.find(seen, key) != null) {
                    return null;
                }
                budget.items(1);
                PythonValues.put(seen, key, true);
                return item;
            }
        });
    }

    /** @param sign of the order that an item must have to the best so far */
    private static Object extreme(Object value, JinjaArguments arguments, int sign, JinjaBudget budget) {
        UnaryOperator<Object> cased = caseKey(arguments.flag(0, "case_sensitive", false), budget);
        UnaryOperator<Object> attribute =
                JinjaItemFilters.attribute(arguments.get(1, "attribute", PythonValues.NONE), budget);
        Iterator<Object> items = PythonValues.iterator(value);
        if (!items.hasNext()) {
            return new Undefined("No aggregated item, sequence was empty.");
        }
        Object best = items.next();
        Object bestKey = cased.apply(attribute.apply(best));
        while (items.hasNext()) {
            Object item = items.next();
            Object key = cased.apply(attribute.apply(item));
            if (Integer.signum(PythonValues.compare(key, bestKey, sign < 0 ? "<" : ">", budget)) == sign) {
                best = item;
                bestKey = key;
            }
        }
        return best;
    }

    private static Object sum(Object value, JinjaArguments arguments, JinjaBudget budget) {
        UnaryOperator<Object> attribute =
                JinjaItemFilters.attribute(arguments.get(0, "attribute", PythonValues.NONE), budget);
        Object sum = arguments.get(1, "start", 0L);
        if (sum instanceof String) {
            throw new ChatTemplateException("sum() can't sum strings");
        }
        for (Iterator<Object> items = PythonValues.iterator(value); items.hasNext(); ) {
            budget.step();
            sum = PythonOperators.arithmetic("+", sum, attribute.apply(items.next()), budget);
        }
        return sum;
    }

    private static Object batch(Object value, JinjaArguments arguments, JinjaBudget budget) {
        long size = arguments.integer(0, "linecount", 0);
        if (size < 1) {
            throw new ChatTemplateException("batch: linecount should be at least 1");
        }
        Object fill = arguments.get(1, "fill_with", PythonValues.NONE);
        List<Object> items = PythonValues.items(value, budget);
        List<Object> batches = new ArrayList<>();
        for (int from = 0; from < items.size(); from += (int) Math.min(size, items.size() - from)) {
            List<Object> batch = new ArrayList<>(items.subList(from, (int) Math.min(items.size(), from + size)));
            budget.items(size);
            while (fill != PythonValues.NONE && batch.size() < size) {
                batch.add(fill);
            }
            batches.add(batch);
        }
        return new Generator(batches.iterator());
    }
}
