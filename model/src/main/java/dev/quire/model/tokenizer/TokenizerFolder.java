package dev.quire.model.tokenizer;

import dev.quire.model.weights.WeightsException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Reads the tokenizer of a folder as Hugging Face lays it out. */
final class TokenizerFolder {
    private static final long MAX_FILE_BYTES = 256L << 20;
    private static final JsonMapper JSON = new JsonMapper();

    private final Path directory;

    TokenizerFolder(Path directory) {
        this.directory = directory;
    }

    Tokenizer read() {
        Path file = directory.resolve("tokenizer.json");
        JsonNode root = json(file);
        if (root == null) {
            throw new WeightsException(file, "does not exist; a folder needs it for the tokenizer");
        }
        JsonNode config = json(directory.resolve("tokenizer_config.json"));
        try {
            TokenizerJson tokenizer = new TokenizerJson(root);
            int bos = tokenizer.vocabulary().id(text(config, "bos_token"));
            return tokenizer.tokenizer(bos, ends(tokenizer.vocabulary(), config));
        } catch (IllegalArgumentException e) {
            throw new WeightsException(file, -1, String.valueOf(e.getMessage()), e);
        }
    }

    private int[] ends(Vocabulary vocabulary, @Nullable JsonNode config) {
        Set<Integer> ends = new TreeSet<>();
        addEnds(ends, json(directory.resolve("generation_config.json")));
        addEnds(ends, json(directory.resolve("config.json")));
        ends.add(vocabulary.id(text(config, "eos_token")));
        ends.removeIf(id -> id < 0 || id >= vocabulary.size());
        return ends.stream().mapToInt(Integer::intValue).toArray();
    }

    private static void addEnds(Set<Integer> ends, @Nullable JsonNode config) {
        JsonNode given = config == null ? null : config.get("eos_token_id");
        if (given == null) {
            return;
        }
        for (JsonNode id : given.isArray() ? given.values() : Set.of(given)) {
            if (id.canConvertToInt()) {
                ends.add(id.intValue());
            }
        }
    }

    /** A token of the configuration, which is a text or an object with the text as {@code content}; else empty. */
    private static String text(@Nullable JsonNode config, String key) {
        JsonNode token = config == null ? null : config.get(key);
        if (token != null && token.isObject()) {
            token = token.get("content");
        }
        return token == null || !token.isString() ? "" : token.stringValue();
    }

    private static @Nullable JsonNode json(Path file) {
        if (!Files.exists(file)) {
            return null;
        }
        try {
            if (Files.size(file) > MAX_FILE_BYTES) {
                throw new WeightsException(file, "has " + Files.size(file) + " bytes, allowed are " + MAX_FILE_BYTES);
            }
            JsonNode node = JSON.readTree(Files.readAllBytes(file));
            if (!node.isObject()) {
                throw new WeightsException(file, "is not a JSON object");
            }
            return node;
        } catch (IOException | JacksonException e) {
            throw new WeightsException(file, -1, "cannot be read: " + e.getMessage(), e);
        }
    }
}
