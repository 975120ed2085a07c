package dev.quire.bench;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The one JSON mapper of the bench. */
final class Json {
    private static final JsonMapper MAPPER = new JsonMapper();

    private Json() {}

    static JsonNode parse(String text) {
        return MAPPER.readTree(text);
    }

    static String quote(String text) {
        return line(text);
    }

    static String line(Object value) {
        return MAPPER.writeValueAsString(value);
    }

    static String write(Object value) {
        return MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(value);
    }
}
