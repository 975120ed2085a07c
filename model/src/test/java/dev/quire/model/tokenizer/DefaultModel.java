package dev.quire.model.tokenizer;

import java.nio.file.Files;
import java.nio.file.Path;

/** Where the tests find the default model. */
final class DefaultModel {
    private DefaultModel() {}

    static Path path() {
        String path = System.getProperty("quire.test.model", "");
        if (path.isEmpty() || !Files.exists(Path.of(path))) {
            throw new AssertionError("-Dquire.test.model should be the path of the default model's .gguf and is '"
                    + path + "'; ./quire test sets it");
        }
        return Path.of(path);
    }
}
