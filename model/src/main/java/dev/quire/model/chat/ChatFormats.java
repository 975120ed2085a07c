package dev.quire.model.chat;

import dev.quire.model.weights.GgufFile;
import dev.quire.model.weights.GgufMetadata;
import dev.quire.model.weights.ModelJson;
import dev.quire.model.weights.WeightsException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Finds a model's chat template and makes a {@link ChatFormat} of it. */
public final class ChatFormats {
    private static final int MAX_CONFIG_BYTES = 64 << 20;
    private static final int MAX_TEMPLATE_BYTES = 4 << 20;
    private static final String GGUF_KEY = "tokenizer.chat_template";
    private static final String DEFAULT = "default";
    private static final String WITH_TOOLS = "tool_use";
    private static final List<String> TOKENS =
            List.of("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token");

    /** The variable of a special token, and the key of its id in a GGUF file. */
    private static final Map<String, String> GGUF_TOKENS = Map.of(
            "bos_token", "tokenizer.ggml.bos_token_id",
            "eos_token", "tokenizer.ggml.eos_token_id",
            "unk_token", "tokenizer.ggml.unknown_token_id",
            "sep_token", "tokenizer.ggml.seperator_token_id",
            "pad_token", "tokenizer.ggml.padding_token_id");

    private ChatFormats() {}

    /**
     * The format in a GGUF file's metadata, or null when it has none.
     *
     * @throws WeightsException when the template cannot be used
     */
    public static @Nullable ChatFormat fromGguf(GgufFile file) {
        GgufMetadata metadata = file.metadata();
        String template = metadata.string(GGUF_KEY);
        if (template == null) {
            return null;
        }
        Map<String, String> templates = new HashMap<>(Map.of(DEFAULT, template));
        String withTools = metadata.string(GGUF_KEY + "." + WITH_TOOLS);
        if (withTools != null) {
            templates.put(WITH_TOOLS, withTools);
        }
        return format(file.path(), templates, specialTokens(file));
    }

    /**
     * The format of a folder as Hugging Face lays it out, or null when it has none: {@code chat_template.jinja}, else
     * what tokenizer_config.json has.
     *
     * @throws WeightsException when a file cannot be read or a template cannot be used
     */
    public static @Nullable ChatFormat fromDirectory(Path directory) {
        Path file = directory.resolve("chat_template.jinja");
        if (Files.exists(file)) {
            Map<String, String> templates = new HashMap<>(Map.of(DEFAULT, text(file)));
            Path withTools = directory.resolve("additional_chat_templates").resolve(WITH_TOOLS + ".jinja");
            if (Files.exists(withTools)) {
                templates.put(WITH_TOOLS, text(withTools));
            }
            return format(file, templates, specialTokens(directory));
        }
        Path config = directory.resolve("tokenizer_config.json");
        JsonNode template =
                Files.exists(config) ? ModelJson.read(config, MAX_CONFIG_BYTES).get("chat_template") : null;
        return template == null || template.isNull()
                ? null
                : format(config, templates(config, template), specialTokens(directory));
    }

    /**
     * A format from a file that the operator names.
     *
     * @param variables what the template sees besides the conversation, as {@link #specialTokens} has it
     * @throws WeightsException when the file cannot be read or the template cannot be used
     */
    public static ChatFormat fromFile(Path file, Map<String, Object> variables) {
        return format(file, Map.of(DEFAULT, text(file)), variables);
    }

    /**
     * A format from a template's text.
     *
     * @throws ChatTemplateException when the template cannot be used
     */
    public static ChatFormat fromText(String template, Map<String, Object> variables) {
        return fromText(template, variables, Clock.system(ZoneId.systemDefault()));
    }

    static ChatFormat fromText(String template, Map<String, Object> variables, Clock clock) {
        return new TemplateFormat(JinjaTemplate.parse(template), null, Map.copyOf(variables), clock);
    }

    /**
     * The texts of a model's special tokens by the names that templates have for them, such as {@code bos_token}.
     *
     * @throws WeightsException when a file of the model cannot be read
     */
    public static Map<String, Object> specialTokens(Path model) {
        if (Files.isDirectory(model)) {
            return folderTokens(model.resolve("tokenizer_config.json"));
        }
        try (GgufFile file = GgufFile.open(model)) {
            return specialTokens(file);
        }
    }

    private static Map<String, Object> specialTokens(GgufFile file) {
        GgufMetadata metadata = file.metadata();
        List<String> texts = metadata.strings("tokenizer.ggml.tokens");
        Map<String, Object> tokens = new HashMap<>();
        GGUF_TOKENS.forEach((name, key) -> {
            int id = metadata.intValue(key, -1);
            if (texts != null && id >= 0 && id < texts.size()) {
                tokens.put(name, texts.get(id));
            }
        });
        return tokens;
    }

    private static Map<String, Object> folderTokens(Path config) {
        Map<String, Object> tokens = new HashMap<>();
        if (!Files.exists(config)) {
            return tokens;
        }
        JsonNode root = ModelJson.read(config, MAX_CONFIG_BYTES);
        for (String name : TOKENS) {
            String text = content(root.get(name));
            if (text != null) {
                tokens.put(name, text);
            }
        }
        JsonNode more = root.get("additional_special_tokens");
        if (more != null && more.isArray() && !more.isEmpty()) {
            List<String> texts = new ArrayList<>();
            more.values().forEach(token -> texts.add(String.valueOf(content(token))));
            tokens.put("additional_special_tokens", texts);
        }
        return tokens;
    }

    /** A token's text, which is given as such or as an object's content; else null. */
    private static @Nullable String content(@Nullable JsonNode token) {
        JsonNode text = token != null && token.isObject() ? token.get("content") : token;
        return text != null && text.isString() ? text.stringValue() : null;
    }

    private static Map<String, String> templates(Path config, JsonNode template) {
        Map<String, String> templates = new LinkedHashMap<>();
        if (template.isString()) {
            templates.put(DEFAULT, template.stringValue());
        } else {
            for (JsonNode one : template.values()) {
                JsonNode name = one.get("name");
                JsonNode text = one.get("template");
                if (name != null && name.isString() && text != null && text.isString()) {
                    templates.put(name.stringValue(), text.stringValue());
                }
            }
        }
        if (!templates.containsKey(DEFAULT)) {
            throw new WeightsException(
                    config, "chat_template should be a string or a list with the template named 'default'");
        }
        return templates;
    }

    private static ChatFormat format(Path file, Map<String, String> templates, Map<String, Object> variables) {
        try {
            JinjaTemplate usual = JinjaTemplate.parse(templates.getOrDefault(DEFAULT, ""));
            String withTools = templates.get(WITH_TOOLS);
            return new TemplateFormat(
                    usual,
                    withTools == null ? null : JinjaTemplate.parse(withTools),
                    Map.copyOf(variables),
                    Clock.system(ZoneId.systemDefault()));
        } catch (ChatTemplateException e) {
            throw new WeightsException(file, -1, "the chat template cannot be used: " + e.getMessage(), e);
        }
    }

    private static String text(Path file) {
        try {
            long size = Files.size(file);
            if (size > MAX_TEMPLATE_BYTES) {
                throw new WeightsException(
                        file, "holds " + size + " bytes, at most " + MAX_TEMPLATE_BYTES + " are read");
            }
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new WeightsException(file, -1, "is not UTF-8 text", e);
        } catch (IOException e) {
            throw new WeightsException(file, -1, "cannot be read: " + e, e);
        }
    }

    /**
     * A format that renders templates.
     *
     * @param withTools the template for conversations with tools, where there is a special one
     */
    private record TemplateFormat(
            JinjaTemplate usual, @Nullable JinjaTemplate withTools, Map<String, Object> variables, Clock clock)
            implements ChatFormat {
        @Override
        public String render(
                List<Map<String, Object>> messages,
                @Nullable List<Map<String, Object>> tools,
                boolean addGenerationPrompt,
                Map<String, Object> extra) {
            Map<String, @Nullable Object> all = new HashMap<>(variables);
            all.put("documents", null);
            all.putAll(extra);
            all.put("messages", messages);
            all.put("tools", tools);
            all.put("add_generation_prompt", addGenerationPrompt);
            JinjaTemplate template = tools != null && withTools != null ? withTools : usual;
            return template.render(all, clock);
        }
    }
}
