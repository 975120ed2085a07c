package dev.quire.server.openai;

import dev.quire.server.http.Exchange;
import dev.quire.server.http.Reply;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** {@code POST /tokenize} and {@code POST /detokenize}. */
public final class TokenizeEndpoint {
    /** Texts may be longer than the model's context here, but not without end. */
    private static final int MAX_TOKENS = 1 << 20;

    private final ModelSlot slot;

    public TokenizeEndpoint(ModelSlot slot) {
        this.slot = slot;
    }

    /** Ids of a prompt, or of the prompt that messages make. */
    public void tokenize(Exchange exchange) {
        ServedModel model = slot.require();
        Fields body = Json.object(exchange);
        model.requireName(body.string("model"));
        boolean chat = body.has("messages");
        String text = chat ? Conversation.read(body).render(model) : body.string("prompt");
        if (text == null) {
            throw ApiError.malformed("prompt", "prompt or messages is required.");
        }
        boolean pieces = body.bool("return_token_strs", false);
        int[] ids = model.tokenizer().encode(text, body.bool("add_special_tokens", !chat), true, MAX_TOKENS);
        if (ids.length > MAX_TOKENS) {
            throw ApiError.invalid("prompt", "The text has more than " + MAX_TOKENS + " tokens.", null);
        }
        exchange.reply(Reply.json(200, Json.bytes(json -> {
            json.writeStartObject();
            json.writeNumberProperty("count", ids.length);
            json.writeNumberProperty("max_model_len", model.maxModelLen());
            Json.ids(json, "tokens", ids);
            if (pieces) {
                json.writeArrayPropertyStart("token_strs");
                for (int id : ids) {
                    json.writeString(model.tokenizer().piece(id));
                }
                json.writeEndArray();
            } else {
                json.writeNullProperty("token_strs");
            }
            json.writeEndObject();
        })));
    }

    /** Text of ids. */
    public void detokenize(Exchange exchange) {
        ServedModel model = slot.require();
        Fields body = Json.object(exchange);
        model.requireName(body.string("model"));
        if (!body.has("tokens")) {
            throw ApiError.malformed("tokens", "tokens is required: a list of token ids.");
        }
        List<JsonNode> given = body.array("tokens", MAX_TOKENS);
        int last = model.tokenizer().vocabSize() - 1;
        int[] ids = new int[given.size()];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = (int) Fields.integer(given.get(i), "tokens[" + i + "]", 0, last);
        }
        exchange.reply(Reply.json(200, Json.bytes(json -> {
            json.writeStartObject();
            json.writeStringProperty("prompt", Prompt.decode(model.tokenizer(), ids));
            json.writeEndObject();
        })));
    }
}
