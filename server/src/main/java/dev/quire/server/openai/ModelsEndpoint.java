package dev.quire.server.openai;

import dev.quire.server.http.Exchange;
import dev.quire.server.http.Reply;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import tools.jackson.core.JsonGenerator;

/** {@code GET /v1/models} and {@code GET /v1/models/{id}}; an id may hold slashes, encoded or not. */
public final class ModelsEndpoint {
    private final ModelSlot slot;

    public ModelsEndpoint(ModelSlot slot) {
        this.slot = slot;
    }

    /** All served names, a card each. */
    public void list(Exchange exchange) {
        ServedModel model = slot.require();
        exchange.reply(Reply.json(200, Json.bytes(json -> {
            json.writeStartObject();
            json.writeStringProperty("object", "list");
            json.writeArrayPropertyStart("data");
            model.names().forEach(name -> card(json, name, model));
            json.writeEndArray();
            json.writeEndObject();
        })));
    }

    /** The card of one name. */
    public void one(Exchange exchange) {
        ServedModel model = slot.require();
        model.requireName(exchange.tail());
        exchange.reply(Reply.json(200, Json.bytes(json -> card(json, exchange.tail(), model))));
    }

    private static void card(JsonGenerator json, String name, ServedModel model) {
        json.writeStartObject();
        json.writeStringProperty("id", name);
        json.writeStringProperty("object", "model");
        json.writeNumberProperty("created", model.createdSeconds());
        json.writeStringProperty("owned_by", "vllm");
        json.writeStringProperty("root", model.root());
        json.writeNullProperty("parent");
        json.writeNumberProperty("max_model_len", model.maxModelLen());
        json.writeArrayPropertyStart("permission");
        json.writeStartObject();
        json.writeStringProperty("id", "modelperm-" + UUID.nameUUIDFromBytes(name.getBytes(StandardCharsets.UTF_8)));
        json.writeStringProperty("object", "model_permission");
        json.writeNumberProperty("created", model.createdSeconds());
        json.writeBooleanProperty("allow_create_engine", false);
        json.writeBooleanProperty("allow_sampling", true);
        json.writeBooleanProperty("allow_logprobs", true);
        json.writeBooleanProperty("allow_search_indices", false);
        json.writeBooleanProperty("allow_view", true);
        json.writeBooleanProperty("allow_fine_tuning", false);
        json.writeStringProperty("organization", "*");
        json.writeNullProperty("group");
        json.writeBooleanProperty("is_blocking", false);
        json.writeEndObject();
        json.writeEndArray();
        json.writeEndObject();
    }
}
