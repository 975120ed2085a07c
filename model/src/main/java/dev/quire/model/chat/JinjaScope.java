package dev.quire.model.chat;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The variables of a block; those of the blocks around it can be read and not set. One owner. */
final class JinjaScope {
    private final @Nullable JinjaScope outer;
    private final Map<String, Object> variables = new HashMap<>();

    JinjaScope(@Nullable JinjaScope outer) {
        this.outer = outer;
    }

    void set(String name, Object value) {
        variables.put(name, value);
    }

    @Nullable
    Object find(String name) {
        for (JinjaScope scope = this; scope != null; scope = scope.outer) {
            Object value = scope.variables.get(name);
            if (value != null) {
                return value;
            }
        }
        return null;
    }
}
