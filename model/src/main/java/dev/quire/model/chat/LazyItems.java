package dev.quire.model.chat;

import java.util.Iterator;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;

/** Items computed from others when they are asked for. One owner. */
abstract class LazyItems implements Iterator<Object> {
    private final Iterator<Object> items;
    private final JinjaBudget budget;
    private @Nullable Object next;

    LazyItems(Iterator<Object> items, JinjaBudget budget) {
        this.items = items;
        this.budget = budget;
    }

    /** What becomes of an item, or null when it is left out. */
    abstract @Nullable Object map(Object item);

    @Override
    public final boolean hasNext() {
        budget.enter(); // chains of these are as deep as the template makes them
        while (next == null && items.hasNext()) {
            budget.step();
            next = map(items.next());
        }
        budget.leave();
        return next != null;
    }

    @Override
    public final Object next() {
        if (!hasNext() || next == null) {
            throw new NoSuchElementException();
        }
        Object item = next;
        next = null;
        return item;
    }
}
