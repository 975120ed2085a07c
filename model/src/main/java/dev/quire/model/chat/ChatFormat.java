package dev.quire.model.chat;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Turns a conversation into a prompt, the way the model was trained. Immutable; any thread. */
public interface ChatFormat {
    /**
     * The prompt's text, special tokens written by name.
     *
     * @param messages each a map as in the request: role, content (text), name, tool_calls …
     * @param tools tool definitions as in the request, or null
     * @param addGenerationPrompt whether the assistant's opening follows
     * @param extra further variables of the template
     * @throws ChatTemplateException with a message fit for the client
     */
    String render(
            List<Map<String, Object>> messages,
            @Nullable List<Map<String, Object>> tools,
            boolean addGenerationPrompt,
            Map<String, Object> extra);
}
