package dev.quire.server.openai;

import dev.quire.scheduler.FinishReason;
import dev.quire.scheduler.Usage;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonGenerator;

/**
 * What every object and chunk of one answer begins with.
 *
 * @param id with the endpoint's prefix
 * @param createdSeconds unix time
 * @param model the first served name, whichever the client used
 */
record AnswerHead(String id, long createdSeconds, String model) {
    static AnswerHead of(String prefix, String requestId, ServedModel model) {
        return new AnswerHead(prefix + requestId, System.currentTimeMillis() / 1000, model.name());
    }

    void write(JsonGenerator json, String object) {
        json.writeStringProperty("id", id);
        json.writeStringProperty("object", object);
        json.writeNumberProperty("created", createdSeconds);
        json.writeStringProperty("model", model);
    }

    static void usage(JsonGenerator json, Usage usage) {
        json.writeObjectPropertyStart("usage");
        json.writeNumberProperty("prompt_tokens", usage.promptTokens());
        json.writeNumberProperty("total_tokens", usage.promptTokens() + usage.completionTokens());
        json.writeNumberProperty("completion_tokens", usage.completionTokens());
        json.writeObjectPropertyStart("prompt_tokens_details");
        json.writeNumberProperty("cached_tokens", usage.cachedTokens());
        json.writeEndObject();
        json.writeEndObject();
    }

    /** {@code finish_reason} and {@code stop_reason}. */
    static void finish(JsonGenerator json, @Nullable FinishReason finish, @Nullable Object stopReason) {
        Json.optional(json, "finish_reason", finish == null ? null : word(finish));
        switch (stopReason) {
            case Integer id -> json.writeNumberProperty("stop_reason", id);
            case String text -> json.writeStringProperty("stop_reason", text);
            case null, default -> json.writeNullProperty("stop_reason");
        }
    }

    private static String word(FinishReason finish) {
        return switch (finish) {
            case STOP -> "stop";
            case LENGTH -> "length";
            case ABORT -> "abort";
            case ERROR -> "error";
        };
    }
}
