package dev.quire.model.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.model.weights.WeightsException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChatFormatsTest {
    private static final List<Map<String, Object>> HELLO = List.of(Map.of("role", "user", "content", "Hello"));

    private final Path folder;

    ChatFormatsTest(@TempDir Path folder) {
        this.folder = folder;
    }

    private void write(String name, String text) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(Objects.requireNonNull(file.getParent()));
        Files.writeString(file, text);
    }

    private String rendered(@Nullable List<Map<String, Object>> tools) {
        return Objects.requireNonNull(ChatFormats.fromDirectory(folder)).render(HELLO, tools, true, Map.of());
    }

    @Test
    void aFolderWithoutATemplateHasNoFormat() throws IOException {
        assertThat(ChatFormats.fromDirectory(folder)).isNull();
        write("tokenizer_config.json", "{\"chat_template\": null}");
        assertThat(ChatFormats.fromDirectory(folder)).isNull();
    }

    @Test
    void readsTheTemplateAndTheSpecialTokensOfTheConfiguration() throws IOException {
        write("tokenizer_config.json", """
                {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null,
                 "additional_special_tokens": ["<a>", {"content": "<b>"}],
                 "chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token is defined }}\
                {{ additional_special_tokens }}{{ tools is none }}{{ documents }}{{ add_generation_prompt }}"}""");
        assertThat(rendered(null)).isEqualTo("<s>Hello</s>False['<a>', '<b>']TrueNoneTrue");
    }

    @Test
    void choosesTheTemplateForToolsWhenThereAreTools() throws IOException {
        write("tokenizer_config.json", """
                {"chat_template": [{"name": "default", "template": "plain"},
                 {"name": "tool_use", "template": "{{ tools[0].name }}"}]}""");
        assertThat(rendered(null)).isEqualTo("plain");
        assertThat(rendered(List.of(Map.of("name", "f")))).isEqualTo("f");
    }

    @Test
    void prefersTemplateFiles() throws IOException {
        write("tokenizer_config.json", "{\"bos_token\": \"<s>\", \"chat_template\": \"old\"}");
        write("chat_template.jinja", "{{ bos_token }}new\n");
        assertThat(rendered(List.of())).isEqualTo("<s>new");
        write("additional_chat_templates/tool_use.jinja", "with tools");
        assertThat(rendered(List.of())).isEqualTo("with tools");
        assertThat(rendered(null)).isEqualTo("<s>new");
    }

    @Test
    void aTemplateThatCannotBeUsedFailsTheLoadAndIsNamed() throws IOException {
        write("tokenizer_config.json", "{\"chat_template\": \"a\\n{% nosuch %}\"}");
        assertThatThrownBy(() -> ChatFormats.fromDirectory(folder))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("tokenizer_config.json: the chat template cannot be used")
                .hasMessageContaining("line 2: the tag 'nosuch' is not known");
        write("tokenizer_config.json", "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"x\"}]}");
        assertThatThrownBy(() -> ChatFormats.fromDirectory(folder))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("named 'default'");
        write("chat_template.jinja", "{{ x | nosuch }}");
        assertThatThrownBy(() -> ChatFormats.fromDirectory(folder))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("chat_template.jinja")
                .hasMessageContaining("there is no filter named 'nosuch'");
        Files.write(folder.resolve("chat_template.jinja"), new byte[] {(byte) 0xFF, (byte) 0xFE});
        assertThatThrownBy(() -> ChatFormats.fromDirectory(folder)).hasMessageContaining("is not UTF-8 text");
    }

    @Test
    void anOperatorsTemplateSeesTheModelsTokens() throws IOException {
        write("tokenizer_config.json", "{\"bos_token\": \"<s>\"}");
        write("mine.jinja", "{{ bos_token }}{{ messages[0].role }}{{ mood }}");
        ChatFormat format = ChatFormats.fromFile(folder.resolve("mine.jinja"), ChatFormats.specialTokens(folder));
        assertThat(format.render(HELLO, null, false, Map.of("mood", "!"))).isEqualTo("<s>user!");
        assertThatThrownBy(() -> ChatFormats.fromFile(folder.resolve("none.jinja"), Map.of()))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("none.jinja: cannot be read");
    }

    @Test
    void theClientReadsWhatTheTemplateRaises() {
        ChatFormat format = ChatFormats.fromText("{{ raise_exception('Speak first, ' ~ x) }}", Map.of());
        assertThatThrownBy(() -> format.render(HELLO, null, false, Map.of("x", "user")))
                .isInstanceOf(ChatTemplateException.class)
                .hasMessage("Speak first, user");
    }

    @Test
    void extraVariablesDoNotReplaceTheConversation() {
        ChatFormat format = ChatFormats.fromText("{{ messages | length }}{{ bos_token }}", Map.of("bos_token", "a"));
        assertThat(format.render(HELLO, null, false, Map.of("messages", List.of(), "bos_token", "b")))
                .isEqualTo("1b");
    }

    @Test
    void oneFormatRendersOnManyThreads() throws Exception {
        ChatFormat format = ChatFormats.fromText(
                "{% set ns = namespace(n=0) %}{% for i in range(50) %}{% set ns.n = ns.n + k %}{% endfor %}{{ ns.n }}",
                Map.of());
        List<Future<String>> texts = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
            for (int i = 0; i < 200; i++) {
                int k = i;
                texts.add(threads.submit(() -> format.render(HELLO, null, false, Map.of("k", k))));
            }
            for (int i = 0; i < 200; i++) {
                assertThat(texts.get(i).get()).isEqualTo(String.valueOf(50 * i));
            }
        }
    }
}
