package dev.quire.server.openai;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

class ChunkTemplateTest {
    private static byte[] whole(String text) {
        return Json.bytes(json -> {
            json.writeStartObject();
            json.writeStringProperty("id", "x\"x");
            json.writeStringProperty("text", text);
            json.writeStringProperty("model", "xx");
            json.writeEndObject();
        });
    }

    private static JsonNode filled(String text) {
        ChunkTemplate template = ChunkTemplate.of(ChunkTemplateTest::whole);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes(template.before());
        bytes.writeBytes(Json.escaped(text));
        bytes.writeBytes(template.after());
        return Json.parse(bytes.toByteArray(), "the chunk");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " the",
                "x",
                "\"",
                "\\n",
                "a\nb\tc\u0000\u001f\u007f",
                "Größe",
                "東京",
                "🙂",
                "a🙂b\u2028\u2029"
            })
    void aFilledTemplateIsTheChunkWithThatText(String text) {
        assertThat(filled(text)).isEqualTo(Json.parse(whole(text), "the chunk"));
    }

    @Test
    void everyCharacterComesThrough() {
        for (int c = 0; c <= Character.MAX_CODE_POINT; c += c < 0x3000 ? 1 : 97) {
            boolean half = c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE;
            String text = "a" + Character.toString(c);
            assertThat(filled(text).path("text").asString()).isEqualTo(half ? "a\uFFFD" : text);
        }
    }

    @Test
    void noLineBreakIsLeftForTheEventToEndAt() {
        assertThat(new String(Json.escaped("a\r\nb\n"), StandardCharsets.UTF_8)).isEqualTo("a\\r\\nb\\n");
    }
}
