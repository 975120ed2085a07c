package dev.quire.model.chat;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The variables of a block; those of the blocks around it can be read and not set. One owner. */
final class JinjaScope {
    private final @Nullable JinjaScope outer;
    private final Set<String> hidden;
    private final Map<String, Object> variables = new HashMap<>();

    JinjaScope(@Nullable JinjaScope outer) {
        this(outer, Set.of());
    }

    /** @param hidden what is not seen of the blocks around, as {@link JinjaHiding} has it */
    JinjaScope(@Nullable JinjaScope outer, Set<String> hidden) {
        this.outer = outer;
        this.hidden = hidden;
    }

    void set(String name, Object value) {
        variables.put(name, value);
    }

    @Nullable
    Object find(String name) {
        for (JinjaScope scope = this; scope != null; scope = scope.outer) {
            Object value = scope.variables.get(name);
            if (value != null || scope.hidden.contains(name)) {
                return value;
            }
        }
        return null;
    }
}
