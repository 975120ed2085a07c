package dev.quire.model.chat;

import dev.quire.model.chat.PythonValues.Function;
import dev.quire.model.chat.PythonValues.Undefined;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A loop that runs, and the {@code loop} variable of its body. What it goes through is looked at when needed only. */
final class JinjaLoop {
    private static final Object NOTHING_YET = new Object();

    private final JinjaBudget budget;
    private Iterator<Object> rest;
    private long length;
    private long index0 = -1;
    private Object previous = new Undefined("there is no previous item");
    private Object current = previous;
    private @Nullable Object next;
    private Object lastSeen = NOTHING_YET;

    /** @param length -1 when it is not known before the end */
    JinjaLoop(Iterator<Object> items, long length, JinjaBudget budget) {
        this.rest = items;
        this.length = length;
        this.budget = budget;
    }

    /** Goes on to the next item. @return whether there is one */
    boolean advance() {
        budget.step();
        Object item = peek();
        if (item == null) {
            return false;
        }
        previous = index0 < 0 ? previous : current;
        current = item;
        next = null;
        index0++;
        return true;
    }

    Object item() {
        return current;
    }

    private @Nullable Object peek() {
        if (next == null && rest.hasNext()) {
            next = rest.next();
        }
        return next;
    }

    long length() {
        if (length < 0) {
            List<Object> all = new ArrayList<>(PythonValues.items(new PythonValues.Generator(rest), budget));
            rest = all.iterator();
            length = index0 + 1 + all.size() + (next == null ? 0 : 1);
        }
        return length;
    }

    /** An attribute, or null when there is none of that name. */
    @Nullable
    Object attribute(String name) {
        return switch (name) {
            case "index" -> index0 + 1;
            case "index0" -> index0;
            case "revindex" -> length() - index0;
            case "revindex0" -> length() - index0 - 1;
            case "first" -> index0 == 0;
            case "last" -> peek() == null;
            case "length" -> length();
            case "depth" -> 1L;
            case "depth0" -> 0L;
            case "previtem" -> previous;
            case "nextitem" -> {
                Object item = peek();
                yield item == null ? new Undefined("there is no next item") : item;
            }
            case "cycle" -> (Function) this::cycle;
            case "changed" -> (Function) this::changed;
            default -> null;
        };
    }

    private Object cycle(JinjaArguments arguments) {
        List<Object> values = arguments.positional();
        if (values.isEmpty()) {
            throw new ChatTemplateException("no items for cycling given");
        }
        return values.get((int) (index0 % values.size()));
    }

    private Object changed(JinjaArguments arguments) {
        Object seen = new PythonValues.Tuple(arguments.positional());
        boolean changed = lastSeen == NOTHING_YET || !PythonValues.areEqual(lastSeen, seen, budget);
        lastSeen = seen;
        return changed;
    }
}
