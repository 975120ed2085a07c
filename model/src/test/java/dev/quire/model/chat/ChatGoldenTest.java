package dev.quire.model.chat;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.model.weights.GgufFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Prompts against those of Python's jinja2, made by make_template_golden.py. */
@DisplayName("the same prompts as jinja2")
class ChatGoldenTest {
    @Test
    void snippetsOfEveryConstruct() throws IOException {
        JsonNode golden = TemplateGolden.read("snippets.json");
        Map<String, Object> variables = TemplateGolden.map(golden.get("variables"));
        Map<String, @Nullable String> expected = new LinkedHashMap<>();
        Map<String, @Nullable String> actual = new LinkedHashMap<>();
        for (JsonNode one : golden.get("cases").values()) {
            String template = one.get("template").stringValue();
            expected.put(template, one.has("unsupported") ? null : TemplateGolden.expected(one));
            actual.put(template, TemplateGolden.rendered(template, variables));
        }
        assertThat(actual).hasSizeGreaterThan(1800).isEqualTo(expected);
    }

    @Test
    void conversationsInTheShapesOfRealModels() throws IOException {
        JsonNode golden = TemplateGolden.read("conversations.json");
        Map<String, Object> tokens = TemplateGolden.map(golden.get("variables"));
        Map<String, ChatFormat> formats = new HashMap<>();
        golden.get("templates")
                .properties()
                .forEach(template -> formats.put(
                        template.getKey(),
                        ChatFormats.fromText(template.getValue().stringValue(), tokens, TemplateGolden.CLOCK)));
        assertThat(golden.get("cases").size()).isGreaterThan(500);
        compare(golden.get("cases"), formats, golden.get("conversations"));
    }

    @Test
    @Tag("model")
    void theDefaultModelsOwnTemplate() throws IOException {
        try (GgufFile file = GgufFile.open(Path.of(System.getProperty("quire.test.model", "")))) {
            ChatFormat format = Objects.requireNonNull(ChatFormats.fromGguf(file));
            JsonNode cases = TemplateGolden.read("smollm2.json");
            assertThat(cases.size()).isGreaterThan(50);
            compare(
                    cases,
                    Map.of("smollm2", format),
                    TemplateGolden.read("conversations.json").get("conversations"));
        }
    }

    private static void compare(JsonNode cases, Map<String, ChatFormat> formats, JsonNode conversations) {
        Map<String, @Nullable String> expected = new LinkedHashMap<>();
        Map<String, @Nullable String> actual = new LinkedHashMap<>();
        for (JsonNode one : cases.values()) {
            String template = one.get("template").stringValue();
            String name = one.get("conversation").stringValue();
            boolean opens = one.get("opens").booleanValue();
            String title = template + " " + name + " " + opens;
            expected.put(title, TemplateGolden.expected(one));
            actual.put(title, rendered(Objects.requireNonNull(formats.get(template)), conversations.get(name), opens));
        }
        assertThat(actual).isEqualTo(expected);
    }

    private static @Nullable String rendered(ChatFormat format, JsonNode conversation, boolean opens) {
        JsonNode tools = conversation.get("tools");
        List<Map<String, Object>> given = tools == null ? null : TemplateGolden.maps(tools);
        try {
            return format.render(
                    TemplateGolden.maps(conversation.get("messages")),
                    given,
                    opens,
                    TemplateGolden.map(conversation.get("extra")));
        } catch (ChatTemplateException _) {
            return null;
        }
    }
}
