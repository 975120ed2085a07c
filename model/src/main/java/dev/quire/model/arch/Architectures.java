package dev.quire.model.arch;

import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** The architectures by name. A new one is a file in this package and a line here. */
public final class Architectures {
    private static final Map<String, Architecture.Factory> TABLE = new TreeMap<>(Map.of(
            "llama", Llama::new,
            "mixtral", Mixtral::new,
            "qwen2", Qwen2::new,
            "qwen3", Qwen3::new,
            "qwen3moe", Qwen3Moe::new));

    private Architectures() {}

    /** The names, in alphabetical order. */
    public static Set<String> names() {
        return TABLE.keySet();
    }

    /** Loads the weights of a model. @throws IllegalArgumentException for a name that is not in the table */
    public static Architecture create(ModelConfig config, Weights weights) {
        Architecture.Factory factory = TABLE.get(config.architecture());
        if (factory == null) {
            throw new IllegalArgumentException(
                    "architecture " + config.architecture() + "; supported are " + String.join(", ", names()));
        }
        return factory.create(config, weights);
    }
}
