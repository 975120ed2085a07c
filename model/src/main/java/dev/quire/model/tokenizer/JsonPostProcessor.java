package dev.quire.model.tokenizer;

import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** What the post-processor of a tokenizer.json puts around a text. */
final class JsonPostProcessor {
    /** Ids before and after a single text. */
    record Affixes(int[] prefix, int[] suffix) {}

    private final Vocabulary vocabulary;
    private final IdBuffer prefix = new IdBuffer(64, 4);
    private final IdBuffer suffix = new IdBuffer(64, 4);

    private JsonPostProcessor(Vocabulary vocabulary) {
        this.vocabulary = vocabulary;
    }

    /** @throws IllegalArgumentException when a component is not supported */
    static Affixes read(@Nullable JsonNode node, Vocabulary vocabulary) {
        JsonPostProcessor reading = new JsonPostProcessor(vocabulary);
        if (node != null) {
            reading.add(node);
        }
        return new Affixes(reading.prefix.toArray(), reading.suffix.toArray());
    }

    private void add(JsonNode node) {
        String type = JsonFields.type(node);
        switch (type) {
            case "Sequence" -> JsonFields.list(node, "processors").forEach(this::add);
            case "ByteLevel" -> {
                // It moves offsets alone, which we do not report.
            }
            case "TemplateProcessing" -> template(node);
            default -> throw JsonFields.unsupported("post_processor", type);
        }
    }

    private void template(JsonNode node) {
        boolean before = true;
        for (JsonNode part : JsonFields.list(node, "single")) {
            JsonNode special = JsonFields.member(part, "SpecialToken");
            if (special == null) {
                before = false;
            } else {
                addIds(node, JsonFields.text(special, "id", ""), before ? prefix : suffix);
            }
        }
    }

    private void addIds(JsonNode template, String name, IdBuffer out) {
        JsonNode tokens = JsonFields.member(template, "special_tokens");
        JsonNode token = tokens == null ? null : JsonFields.member(tokens, name);
        if (token == null) {
            throw new IllegalArgumentException("post_processor TemplateProcessing names no ids of " + name);
        }
        for (JsonNode id : JsonFields.list(token, "ids")) {
            int value = JsonFields.number(id, "an id of " + name);
            if (value < 0 || value >= vocabulary.size()) {
                throw new IllegalArgumentException("post_processor: " + name + " has id " + value
                        + ", the vocabulary has " + vocabulary.size() + " tokens");
            }
            out.add(value);
        }
    }
}
