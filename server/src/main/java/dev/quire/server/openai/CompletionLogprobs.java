package dev.quire.server.openai;

import dev.quire.scheduler.TextEvent.TokenText;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JsonGenerator;

/** The {@code logprobs} object of a completion's choice, whose text offsets run on from chunk to chunk. One thread. */
final class CompletionLogprobs {
    private final int alternatives;
    private final boolean asIds;
    private int offset;

    /** With up to so many alternatives a token; tokens as {@code token_id:N} when asked. */
    CompletionLogprobs(int alternatives, boolean asIds) {
        this.alternatives = alternatives;
        this.asIds = asIds;
    }

    void write(JsonGenerator json, List<TokenText> tokens) {
        json.writeObjectPropertyStart("logprobs");
        json.writeArrayPropertyStart("text_offset");
        for (TokenText token : tokens) {
            json.writeNumber(offset);
            offset += token.text().codePointCount(0, token.text().length()); // as Python clients count
        }
        json.writeEndArray();
        json.writeArrayPropertyStart("token_logprobs");
        for (TokenText token : tokens) {
            if (Float.isNaN(token.logprob())) {
                json.writeNull();
            } else {
                json.writeNumber(Json.finite(token.logprob()));
            }
        }
        json.writeEndArray();
        json.writeArrayPropertyStart("tokens");
        for (TokenText token : tokens) {
            json.writeString(name(token));
        }
        json.writeEndArray();
        json.writeArrayPropertyStart("top_logprobs");
        for (TokenText token : tokens) {
            top(json, token);
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    private void top(JsonGenerator json, TokenText token) {
        if (Float.isNaN(token.logprob())) {
            json.writeNull();
            return;
        }
        Map<String, Float> best = new LinkedHashMap<>();
        for (int i = 0; i < Math.min(alternatives, token.top().size()); i++) {
            TokenText one = token.top().get(i);
            best.putIfAbsent(name(one), one.logprob());
        }
        best.putIfAbsent(name(token), token.logprob());
        json.writeStartObject();
        best.forEach((name, logprob) -> json.writeNumberProperty(name, Json.finite(logprob)));
        json.writeEndObject();
    }

    private String name(TokenText token) {
        return asIds ? "token_id:" + token.id() : token.text();
    }
}
