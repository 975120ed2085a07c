package dev.quire.server.openai;

import dev.quire.model.chat.ChatFormat;
import dev.quire.model.chat.ChatTemplateException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The messages of a chat request, and what else its template sees.
 *
 * @param messages as the template takes them: role, content as text, and what else the client sent
 * @param tools null when none were sent
 * @param generationPrompt whether the assistant's opening follows
 * @param continueFinal whether the last message is to be gone on with
 * @param extra further variables of the template
 */
record Conversation(
        List<Map<String, Object>> messages,
        @Nullable List<Map<String, Object>> tools,
        boolean generationPrompt,
        boolean continueFinal,
        Map<String, Object> extra) {
    private static final Set<String> ROLES = Set.of("system", "developer", "user", "assistant", "tool", "function");
    private static final int MAX_MESSAGES = 10_000;

    static Conversation read(Fields body) {
        if (body.has("chat_template")) {
            throw ApiError.unsupported(
                    "chat_template", "A template from the client is not accepted; the model's own is used.");
        }
        List<JsonNode> given = body.array("messages", MAX_MESSAGES);
        if (given.isEmpty()) {
            throw ApiError.malformed("messages", "messages is required and must have at least one message.");
        }
        List<Map<String, Object>> messages = new ArrayList<>();
        for (JsonNode one : given) {
            messages.add(message(one, "messages[" + messages.size() + "]"));
        }
        boolean continues = body.bool("continue_final_message", false);
        boolean opens = body.bool("add_generation_prompt", !continues);
        if (opens && continues) {
            throw ApiError.invalid(
                    "continue_final_message",
                    "continue_final_message and add_generation_prompt exclude each other.",
                    true);
        }
        return new Conversation(messages, tools(body), opens, continues, extra(body));
    }

    /** The prompt's text, or a 400 with the template's own words. */
    String render(ServedModel model) {
        ChatFormat format = model.chatFormat();
        if (format == null) {
            throw ApiError.invalid(
                    "messages", "This model has no chat template; use /v1/completions with a prompt.", null);
        }
        try {
            String text = format.render(messages, tools, generationPrompt, extra);
            return continueFinal ? upToFinal(text) : text;
        } catch (ChatTemplateException e) {
            throw ApiError.invalid("messages", "The chat template refused the messages: " + e.getMessage(), null);
        }
    }

    /** Text of the last message. */
    String finalContent() {
        return messages.getLast().getOrDefault("content", "").toString();
    }

    private String upToFinal(String text) {
        String last = finalContent().strip();
        int at = last.isEmpty() ? -1 : text.lastIndexOf(last);
        if (at < 0) {
            throw ApiError.invalid(
                    "continue_final_message", "The last message has no text to go on with in this template.", null);
        }
        return text.substring(0, at + last.length());
    }

    private static Map<String, Object> message(JsonNode node, String at) {
        if (!(node instanceof ObjectNode object)) {
            throw Fields.wrongKind(at, "an object", node);
        }
        Fields fields = new Fields(object, at);
        String role = fields.string("role");
        if (role == null || !ROLES.contains(role)) {
            throw ApiError.invalid(
                    fields.at("role"),
                    "role must be one of system, developer, user, assistant and tool.",
                    role == null ? "null" : role);
        }
        Map<String, Object> message = new LinkedHashMap<>();
        for (var member : fields.members()) {
            if (!member.getValue().isNull()) {
                message.put(Json.wellFormed(member.getKey()), Json.plain(member.getValue()));
            }
        }
        message.put("role", role.equals("developer") ? "system" : role);
        message.put("content", content(fields, role));
        if (fields.has("reasoning_content") && !fields.has("reasoning")) {
            message.put("reasoning", message.get("reasoning_content"));
        }
        if (fields.has("tool_calls")) {
            message.put("tool_calls", toolCalls(fields));
        }
        return message;
    }

    private static String content(Fields fields, String role) {
        JsonNode content = fields.get("content");
        String at = fields.at("content");
        if (content == null) {
            if (role.equals("assistant")) {
                return "";
            }
            throw ApiError.malformed(at, at + " is required for the role " + role + ".");
        }
        if (content.isString()) {
            return Fields.text(content, at);
        }
        if (!content.isArray()) {
            throw Fields.wrongKind(at, "a string or an array of parts", content);
        }
        return Fields.array(content, at, MAX_MESSAGES).stream()
                .map(part -> part(part, at))
                .collect(Collectors.joining("\n"));
    }

    private static String part(JsonNode node, String at) {
        if (node.isString()) {
            return Fields.text(node, at);
        }
        if (!(node instanceof ObjectNode object)) {
            throw Fields.wrongKind(at, "an array of parts, each an object", node);
        }
        Fields part = new Fields(object, at);
        String type = part.string("type");
        if (type == null || !(type.equals("text") || type.equals("input_text"))) {
            throw ApiError.invalid(at, "This model takes only parts of type \"text\".", type == null ? "null" : type);
        }
        String text = part.string("text");
        if (text == null) {
            throw ApiError.malformed(part.at("text"), part.at("text") + " is required in a part of type text.");
        }
        return text;
    }

    /** The template wants arguments as an object where the wire has JSON in a string. */
    private static List<Object> toolCalls(Fields message) {
        List<Object> calls = new ArrayList<>();
        String at = message.at("tool_calls");
        for (JsonNode node : message.array("tool_calls", 1024)) {
            Map<String, Object> call = map(node, at);
            if (call.get("function") instanceof Map<?, ?> function
                    && function.get("arguments") instanceof String text) {
                JsonNode arguments = Json.parse(
                        (text.isBlank() ? "{}" : text).getBytes(java.nio.charset.StandardCharsets.UTF_8),
                        at + ".function.arguments");
                Map<String, Object> parsed = new LinkedHashMap<>();
                function.forEach((key, value) -> parsed.put(String.valueOf(key), value));
                parsed.put("arguments", Json.plain(arguments));
                call.put("function", parsed);
            }
            calls.add(call);
        }
        return calls;
    }

    private static @Nullable List<Map<String, Object>> tools(Fields body) {
        JsonNode choice = body.get("tool_choice");
        boolean none =
                choice != null && choice.isString() && choice.stringValue().equals("none");
        if (!body.has("tools")) {
            if (choice != null
                    && !none
                    && !(choice.isString() && choice.stringValue().equals("auto"))) {
                throw ApiError.invalid("tool_choice", "tool_choice needs tools.", choice);
            }
            return null;
        }
        List<JsonNode> given = body.array("tools", 1024);
        if (given.isEmpty()) {
            throw ApiError.invalid("tools", "tools must not be empty; leave it out instead.", "[]");
        }
        if (!none) {
            throw ApiError.unsupported(
                    "tools",
                    "Tool calls are not supported by this server; tools is accepted with tool_choice=\"none\".");
        }
        return given.stream().map(node -> map(node, "tools")).toList();
    }

    private static Map<String, Object> extra(Fields body) {
        Map<String, Object> extra = new HashMap<>();
        Fields given = body.object("chat_template_kwargs");
        if (given != null) {
            for (var member : given.members()) {
                if (!member.getValue().isNull()) {
                    extra.put(Json.wellFormed(member.getKey()), Json.plain(member.getValue()));
                }
            }
        }
        JsonNode documents = body.get("documents");
        if (documents != null) {
            body.array("documents", MAX_MESSAGES);
            extra.put("documents", Json.plain(documents));
        }
        String effort = body.string("reasoning_effort");
        if (effort != null) {
            extra.put("reasoning_effort", effort);
            if (effort.equals("none")) {
                extra.putIfAbsent("enable_thinking", false);
            }
        }
        return extra;
    }

    private static Map<String, Object> map(JsonNode node, String at) {
        if (!node.isObject()) {
            throw Fields.wrongKind(at, "an array of objects", node);
        }
        Map<String, Object> map = new LinkedHashMap<>();
        for (var member : node.properties()) {
            if (!member.getValue().isNull()) {
                map.put(Json.wellFormed(member.getKey()), Json.plain(member.getValue()));
            }
        }
        return map;
    }
}
