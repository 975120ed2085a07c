package dev.quire.model;

import java.nio.file.Files;
import java.nio.file.Path;

/** Where the default model is for tests that need real weights. */
final class DefaultModel {
    private DefaultModel() {}

    static Path file() {
        String property = System.getProperty("quire.test.model", "");
        if (property.isEmpty() || !Files.exists(Path.of(property))) {
            throw new IllegalStateException("-Dquire.test.model='" + property + "' should be the path of the default"
                    + " model's .gguf; ./quire test sets it");
        }
        return Path.of(property);
    }
}
