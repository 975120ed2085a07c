package dev.quire.server.openai;

import dev.quire.scheduler.TextEvent.TokenText;
import java.util.List;
import tools.jackson.core.JsonGenerator;

/** The {@code logprobs} object of a chat choice. */
final class ChatLogprobs {
    private ChatLogprobs() {}

    static void write(JsonGenerator json, List<TokenText> tokens, int alternatives, boolean asIds) {
        json.writeObjectPropertyStart("logprobs");
        json.writeArrayPropertyStart("content");
        for (TokenText token : tokens) {
            json.writeStartObject();
            members(json, token, asIds);
            json.writeArrayPropertyStart("top_logprobs");
            for (int i = 0; i < Math.min(alternatives, token.top().size()); i++) {
                json.writeStartObject();
                members(json, token.top().get(i), asIds);
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    private static void members(JsonGenerator json, TokenText token, boolean asIds) {
        json.writeStringProperty("token", asIds ? "token_id:" + token.id() : token.text());
        json.writeNumberProperty("logprob", Json.finite(token.logprob()));
        json.writeArrayPropertyStart("bytes");
        for (byte b : token.bytes()) {
            json.writeNumber(b & 0xff);
        }
        json.writeEndArray();
    }
}
