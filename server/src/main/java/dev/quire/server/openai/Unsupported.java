package dev.quire.server.openai;

import java.util.List;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** Fields that would change the output and that this server cannot honour: refused, never ignored. */
final class Unsupported {
    /** Refused whenever they carry a value. */
    private static final List<String> ALWAYS = List.of(
            "structured_outputs",
            "guided_json",
            "guided_regex",
            "guided_choice",
            "guided_grammar",
            "guided_decoding_backend",
            "allowed_token_ids",
            "prompt_embeds",
            "logprob_token_ids",
            "prompt_logprobs",
            "repetition_detection",
            "thinking_token_budget",
            "kv_transfer_params",
            "ec_transfer_params",
            "vllm_xargs",
            "logits_processors",
            "mm_processor_kwargs",
            "media_io_kwargs");

    private static final Set<String> FREE_FORMATS = Set.of("text");

    private Unsupported() {}

    static void refuse(Fields body) {
        for (String name : ALWAYS) {
            JsonNode value = body.get(name);
            boolean empty = value != null && value.isContainer() && value.isEmpty();
            if (value != null && !empty) {
                throw ApiError.unsupported(name, name + " is not supported by this server.");
            }
        }
        if (body.bool("use_beam_search", false)) {
            throw ApiError.unsupported("use_beam_search", "Beam search is not supported by this server.");
        }
        if (!body.array("bad_words", 128).isEmpty()) {
            throw ApiError.unsupported("bad_words", "bad_words is not supported by this server.");
        }
        responseFormat(body);
    }

    private static void responseFormat(Fields body) {
        Fields format = body.object("response_format");
        if (format == null) {
            return;
        }
        String type = format.string("type");
        if (type == null || !FREE_FORMATS.contains(type)) {
            throw ApiError.invalid(
                    "response_format.type",
                    "The only response_format supported by this server is {\"type\": \"text\"}.",
                    type == null ? "null" : type);
        }
    }
}
