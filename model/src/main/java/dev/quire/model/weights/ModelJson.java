package dev.quire.model.weights;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Reads the small JSON files of a model, which are untrusted: size, depth, names and numbers are bounded. */
public final class ModelJson {
    private static final int MAX_DEPTH = 32;
    private static final int MAX_STRING = 1 << 20;
    private static final int MAX_NAME = 1 << 12;

    private static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(MAX_DEPTH)
                            .maxStringLength(MAX_STRING)
                            .maxNameLength(MAX_NAME)
                            .maxNumberLength(100)
                            .build())
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .build())
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private ModelJson() {}

    /**
     * An object from a file.
     *
     * @throws WeightsException when the file cannot be read, is larger than {@code maxBytes}, or holds no JSON object
     */
    public static JsonNode read(Path file, int maxBytes) {
        try {
            long size = Files.size(file);
            if (size > maxBytes) {
                throw new WeightsException(file, "holds " + size + " bytes, at most " + maxBytes + " are read");
            }
            return parse(file, Files.readAllBytes(file));
        } catch (IOException e) {
            throw new WeightsException(file, -1, "cannot be read: " + e, e);
        }
    }

    /** An object from bytes of a file. @throws WeightsException when they hold no JSON object */
    static JsonNode parse(Path file, byte[] bytes) {
        try {
            JsonNode node = MAPPER.readTree(bytes);
            if (!node.isObject()) {
                throw new WeightsException(file, "should hold a JSON object");
            }
            return node;
        } catch (JacksonException e) {
            long offset = e.getLocation() == null ? -1 : e.getLocation().getByteOffset();
            throw new WeightsException(file, offset, "is not sound JSON: " + e.getOriginalMessage(), e);
        }
    }
}
