package dev.quire.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.model.weights.GgufFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Ids and texts against those of Hugging Face tokenizers, made by make_tokenizer_golden.py. */
@DisplayName("the same ids as Hugging Face tokenizers")
class GoldenTokenizerTest {
    private static final JsonMapper JSON = new JsonMapper();

    @ParameterizedTest
    @ValueSource(
            strings = {
                "gpt2",
                "gpt2_prefix_space",
                "smollm",
                "llama3",
                "qwen",
                "o200k",
                "falcon",
                "behaviors",
                "lowercase",
                "llama2",
                "metaspace"
            })
    void readsTokenizerJson(String name) throws Exception {
        Path folder = Path.of(Objects.requireNonNull(GoldenTokenizerTest.class.getResource("/tokenizer/" + name))
                .toURI());
        check(Tokenizers.fromDirectory(folder), json("/tokenizer/" + name + "/golden.json"));
    }

    @Test
    @Tag("model")
    void readsTheDefaultModelsMetadata() throws IOException {
        try (GgufFile file = GgufFile.open(DefaultModel.path())) {
            check(Tokenizers.fromGguf(file), json("/tokenizer/smollm2.json"));
        }
    }

    private static void check(Tokenizer tokenizer, JsonNode golden) throws IOException {
        JsonNode texts = json("/tokenizer/texts.json");
        assertThat(golden.size()).isEqualTo(texts.size()).isGreaterThan(350);
        for (int i = 0; i < texts.size(); i++) {
            String text = texts.get(i).stringValue();
            JsonNode expected = golden.get(i);
            int[] ids = ints(expected.get("ids"));
            assertThat(tokenizer.encode(text, false, true, 1 << 20))
                    .as("%d: %s", i, text)
                    .isEqualTo(ids);
            if (i < 30) {
                assertThat(tokenizer.encode(text, true, true, 1 << 20))
                        .as("special tokens added, %d: %s", i, text)
                        .isEqualTo(expected.has("added") ? ints(expected.get("added")) : ids);
            }
            assertThat(tokenizer.encode(text, false, false, 1 << 20))
                    .as("special tokens as text, %d: %s", i, text)
                    .isEqualTo(expected.has("plain") ? ints(expected.get("plain")) : ids);
            String decoded = expected.has("decoded") ? expected.get("decoded").stringValue() : text;
            assertThat(Detokenizer.decode(tokenizer, ids, false))
                    .as("decoded, %d", i)
                    .isEqualTo(decoded);
            String skipped = expected.has("skipped") ? expected.get("skipped").stringValue() : decoded;
            assertThat(Detokenizer.decode(tokenizer, ids, true))
                    .as("skipped, %d", i)
                    .isEqualTo(skipped);
        }
    }

    private static int[] ints(JsonNode array) {
        List<JsonNode> values = List.copyOf(array.values());
        int[] ints = new int[values.size()];
        Arrays.setAll(ints, i -> values.get(i).intValue());
        return ints;
    }

    private static JsonNode json(String resource) throws IOException {
        try (InputStream in =
                Objects.requireNonNull(GoldenTokenizerTest.class.getResourceAsStream(resource), resource)) {
            return JSON.readTree(in);
        }
    }
}
