package dev.quire.model.chat;

import java.io.IOException;
import java.io.InputStream;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What make_template_golden.py wrote, and the clock it had. */
final class TemplateGolden {
    static final Clock CLOCK = Clock.fixed(Instant.parse("2025-03-07T09:05:03Z"), ZoneOffset.UTC);

    private static final JsonMapper JSON = new JsonMapper();

    private TemplateGolden() {}

    static JsonNode read(String name) throws IOException {
        try (InputStream in = Objects.requireNonNull(TemplateGolden.class.getResourceAsStream("/chat/" + name))) {
            return JSON.readTree(in);
        }
    }

    /** An object of the file as a request would have it, nulls kept. */
    static Map<String, Object> map(@Nullable JsonNode node) {
        return node == null ? Map.of() : JSON.convertValue(node, new TypeReference<LinkedHashMap<String, Object>>() {});
    }

    static List<Map<String, Object>> maps(JsonNode node) {
        return node.values().stream().map(TemplateGolden::map).toList();
    }

    /** The case's text, or null where jinja2 fails. */
    static @Nullable String expected(JsonNode one) {
        JsonNode text = one.get("text");
        return text == null ? null : text.stringValue();
    }

    /** The text that we make of a template, or null where we refuse; anything else is thrown. */
    static @Nullable String rendered(String template, Map<String, Object> variables) {
        try {
            return JinjaTemplate.parse(template).render(new HashMap<>(variables), CLOCK);
        } catch (ChatTemplateException _) {
            return null;
        }
    }
}
