package dev.quire.server.openai;

import dev.quire.server.http.Endpoint;
import dev.quire.server.http.Reply;
import java.util.Map;
import tools.jackson.core.JsonGenerator;

/** How errors are written: the body is {@code {"error":{message,type,param,code}}} in both. */
public enum ErrorStyle {
    /** {@code type} names the kind, {@code code} is the HTTP status. */
    VLLM,
    /** {@code type} is one of a few words, {@code code} a word or null. */
    OPENAI;

    /** The body, at most 4 KiB. */
    public byte[] body(ApiError error) {
        return Json.bytes(json -> {
            json.writeStartObject();
            json.writeObjectPropertyStart("error");
            json.writeStringProperty("message", Json.wellFormed(error.text()));
            json.writeStringProperty("type", this == VLLM ? error.type() : word(error));
            Json.optional(json, "param", error.field() == null ? null : Json.wellFormed(error.field()));
            code(json, error);
            json.writeEndObject();
            json.writeEndObject();
        });
    }

    /** The whole answer, with what tells a client whether to try again. */
    Reply reply(ApiError error) {
        Reply reply = Reply.json(error.status(), body(error));
        return switch (error) {
            case ApiError.Unavailable e ->
                new Reply(
                        503,
                        Reply.JSON,
                        reply.body(),
                        Map.of(
                                "Retry-After",
                                Integer.toString(e.retryAfterSeconds()),
                                "retry-after-ms",
                                Integer.toString(e.retryAfterSeconds() * 1000)));
            case ApiError.Internal _,
                    ApiError.Invalid _,
                    ApiError.TooLong _,
                    ApiError.Malformed _,
                    ApiError.UnknownModel _,
                    ApiError.Edge _ -> reply;
        };
    }

    /** The endpoint, with its errors written in this style. */
    public Endpoint around(Endpoint endpoint) {
        return exchange -> {
            try {
                endpoint.handle(exchange);
            } catch (ApiException e) {
                exchange.reply(reply(e.error()));
            }
        };
    }

    private void code(JsonGenerator json, ApiError error) {
        if (this == VLLM) {
            json.writeNumberProperty("code", error.status());
            return;
        }
        switch (error) {
            case ApiError.UnknownModel _ -> json.writeStringProperty("code", "model_not_found");
            case ApiError.TooLong _ -> json.writeStringProperty("code", "context_length_exceeded");
            case ApiError.Edge edge when edge.status() == 401 -> json.writeStringProperty("code", "invalid_api_key");
            case ApiError.Invalid _,
                    ApiError.Malformed _,
                    ApiError.Unavailable _,
                    ApiError.Internal _,
                    ApiError.Edge _ -> json.writeNullProperty("code");
        }
    }

    private static String word(ApiError error) {
        return error.status() < 500 ? "invalid_request_error" : "server_error";
    }
}
