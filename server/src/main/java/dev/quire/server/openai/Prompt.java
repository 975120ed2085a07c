package dev.quire.server.openai;

import dev.quire.model.tokenizer.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import tools.jackson.databind.JsonNode;

/**
 * One prompt of a request.
 *
 * @param text as sent, or decoded from the ids
 * @param ids at least one, fewer than the model's context
 */
record Prompt(String text, int[] ids) {
    /** Most prompts in one body. */
    static final int MAX_PROMPTS = 1024;
    /** Where a prompt is to be truncated, all of it must be read first, but not more than this. */
    private static final int MAX_TRUNCATABLE_TOKENS = 1 << 20;

    /** The field {@code prompt}: text, texts, ids or lists of ids. */
    static List<Prompt> read(Fields body, Sampling sampling, ServedModel model) {
        JsonNode value = body.get("prompt");
        if (value == null) {
            throw ApiError.malformed("prompt", "prompt is required: a string, or a list of strings or token ids.");
        }
        boolean special = body.bool("add_special_tokens", true);
        if (value.isString()) {
            return List.of(ofText(Fields.text(value, "prompt"), special, sampling, model));
        }
        if (!value.isArray()) {
            throw Fields.wrongKind("prompt", "a string, or a list of strings or token ids", value);
        }
        if (value.isEmpty()) {
            throw ApiError.invalid("prompt", "prompt must not be empty.", "[]");
        }
        if (value.get(0).isNumber()) {
            return List.of(ofIds(value, "prompt", sampling, model));
        }
        List<Prompt> prompts = new ArrayList<>();
        for (JsonNode one : Fields.array(value, "prompt", MAX_PROMPTS)) {
            String at = "prompt[" + prompts.size() + "]";
            prompts.add(
                    one.isArray()
                            ? ofIds(one, at, sampling, model)
                            : ofText(Fields.text(one, at), special, sampling, model));
        }
        return prompts;
    }

    /** A text that is to be tokenized, special tokens in it included. */
    static Prompt ofText(String text, boolean addSpecial, Sampling sampling, ServedModel model) {
        int limit = sampling.truncate() == null ? model.maxModelLen() : MAX_TRUNCATABLE_TOKENS;
        int[] ids = model.tokenizer().encode(text, addSpecial, true, limit);
        if (ids.length > limit) {
            throw tooLong("more than " + limit, model);
        }
        return checked(text, ids, "prompt", sampling, model);
    }

    private static Prompt ofIds(JsonNode value, String at, Sampling sampling, ServedModel model) {
        int vocab = model.tokenizer().vocabSize();
        if (sampling.truncate() == null && value.size() >= model.maxModelLen()) {
            throw tooLong(Integer.toString(value.size()), model);
        }
        int[] ids = new int[value.size()];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = (int) Fields.integer(value.get(i), at + "[" + i + "]", 0, vocab - 1);
        }
        return checked(decode(model.tokenizer(), ids), ids, at, sampling, model);
    }

    private static Prompt checked(String text, int[] ids, String at, Sampling sampling, ServedModel model) {
        if (ids.length == 0) {
            throw ApiError.invalid(at, "The prompt must have at least one token.", null);
        }
        int[] kept = truncated(ids, sampling);
        if (kept.length >= model.maxModelLen()) {
            throw tooLong(Integer.toString(kept.length), model);
        }
        return new Prompt(kept.length == ids.length ? text : decode(model.tokenizer(), kept), kept);
    }

    private static int[] truncated(int[] ids, Sampling sampling) {
        Integer keep = sampling.truncate();
        if (keep == null || keep >= ids.length || keep == 0) {
            return ids;
        }
        return sampling.truncateRight()
                ? Arrays.copyOf(ids, keep)
                : Arrays.copyOfRange(ids, ids.length - keep, ids.length);
    }

    private static ApiException tooLong(String seen, ServedModel model) {
        return new ApiError.TooLong("This model's maximum context length is " + model.maxModelLen()
                        + " tokens, and the prompt has " + seen
                        + " tokens, which leaves no room for output. Please shorten the prompt. (parameter=prompt)")
                .exception();
    }

    /** The text of ids, special tokens by name. */
    static String decode(Tokenizer tokenizer, int[] ids) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(ids.length * 4);
        for (int id : ids) {
            bytes.writeBytes(tokenizer.bytes(id));
        }
        String text = bytes.toString(StandardCharsets.UTF_8);
        return tokenizer.stripsLeadingSpace() && text.startsWith(" ") ? text.substring(1) : text;
    }
}
