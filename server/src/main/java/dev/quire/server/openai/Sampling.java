package dev.quire.server.openai;

import dev.quire.model.sampling.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * What completions and chat have in common in a request, checked.
 *
 * @param params with no log-probabilities asked for yet
 * @param truncate keep so many prompt tokens; null = all
 * @param truncateRight keep the first instead of the last
 * @param returnIds token ids beside the text
 * @param tokensAsIds tokens of log-probabilities written as {@code token_id:N}
 */
record Sampling(
        int n,
        int minTokens,
        SamplingParams params,
        boolean ignoreEos,
        List<String> stop,
        int[] stopTokenIds,
        boolean includeStop,
        boolean skipSpecial,
        long priority,
        @Nullable String cacheSalt,
        boolean stream,
        boolean includeUsage,
        boolean continuousUsage,
        @Nullable Integer truncate,
        boolean truncateRight,
        boolean returnIds,
        boolean tokensAsIds) {
    /** Most choices of one prompt. */
    static final int MAX_N = 128;

    private static final int MAX_STOPS = 4;
    private static final int MAX_STOP_CHARACTERS = 4096;
    private static final double COLDEST = 0.01;

    static Sampling read(Fields body, ServedModel model, @Nullable String priorityHeader) {
        Unsupported.refuse(body);
        boolean stream = body.bool("stream", false);
        Fields streaming = body.object("stream_options");
        if (streaming != null && !stream) {
            throw ApiError.invalid("stream_options", "stream_options is only allowed with stream=true.", null);
        }
        boolean usage = streaming != null && streaming.bool("include_usage", false);
        boolean continuous = streaming != null && streaming.bool("continuous_usage_stats", false);
        if (continuous && !usage) {
            throw ApiError.invalid(
                    "stream_options.continuous_usage_stats", "continuous_usage_stats needs include_usage=true.", true);
        }
        body.integer("stream_interval", 1, Integer.MAX_VALUE);
        Long truncate = body.integer("truncate_prompt_tokens", -1, model.maxModelLen());
        if (truncate != null && truncate == 0) {
            throw ApiError.invalid("truncate_prompt_tokens", "truncate_prompt_tokens must be at least 1, or -1.", 0);
        }
        SamplingParams params = params(body, model);
        int n = (int) body.integer("n", 1, Math.min(MAX_N, model.maxChoices()), 1);
        if (n > 1 && params.temperature() == 0) {
            throw ApiError.invalid("n", "n must be 1 when temperature is 0: all choices would be the same.", n);
        }
        return new Sampling(
                n,
                (int) body.integer("min_tokens", 0, model.maxModelLen(), 0),
                params,
                body.bool("ignore_eos", false),
                stops(body),
                stopIds(body, model),
                body.bool("include_stop_str_in_output", false),
                body.bool("skip_special_tokens", true),
                priority(body, priorityHeader),
                salt(body),
                stream,
                usage,
                continuous,
                truncate == null ? null : truncate < 0 ? model.maxModelLen() - 1 : truncate.intValue(),
                "right".equals(side(body)),
                body.bool("return_token_ids", false),
                body.bool("return_tokens_as_token_ids", false));
    }

    /** The same parameters with log-probabilities. */
    SamplingParams withLogprobs(int logprobs, boolean prompt) {
        return new SamplingParams(
                params.temperature(),
                params.topP(),
                params.topK(),
                params.minP(),
                params.repetitionPenalty(),
                params.presencePenalty(),
                params.frequencyPenalty(),
                params.seed(),
                logprobs,
                prompt,
                params.biasTokens(),
                params.biasValues());
    }

    private static SamplingParams params(Fields body, ServedModel model) {
        double temperature = body.number("temperature", 0, 2, 1);
        if (temperature > 0 && temperature < COLDEST) {
            temperature = COLDEST;
        }
        double topP = body.number("top_p", 0, 1, 1);
        if ((float) topP <= 0) {
            throw ApiError.invalid("top_p", "top_p must be above 0 and at most 1.", topP);
        }
        double repetition = body.number("repetition_penalty", 0, 1e6, 1);
        if ((float) repetition <= 0) {
            throw ApiError.invalid("repetition_penalty", "repetition_penalty must be above 0.", repetition);
        }
        long topK = body.integer("top_k", -1, Integer.MAX_VALUE, 0);
        Bias bias = Bias.read(body, model);
        return new SamplingParams(
                (float) temperature,
                (float) topP,
                (int) Math.max(0, topK),
                (float) body.number("min_p", 0, 1, 0),
                (float) repetition,
                (float) body.number("presence_penalty", -2, 2, 0),
                (float) body.number("frequency_penalty", -2, 2, 0),
                seed(body),
                -1,
                false,
                bias.tokens(),
                bias.values());
    }

    private static long seed(Fields body) {
        Long seed = body.integer("seed", Long.MIN_VALUE, Long.MAX_VALUE);
        return seed == null || seed == -1 ? ThreadLocalRandom.current().nextLong() : seed;
    }

    private static List<String> stops(Fields body) {
        JsonNode value = body.get("stop");
        if (value == null) {
            return List.of();
        }
        List<JsonNode> given = value.isArray() ? Fields.array(value, "stop", MAX_STOPS) : List.of(value);
        List<String> out = new ArrayList<>();
        for (JsonNode one : given) {
            String text = Fields.text(one, "stop");
            if (text.isEmpty() || text.length() > MAX_STOP_CHARACTERS) {
                throw ApiError.invalid(
                        "stop",
                        "A stop string must have between 1 and " + MAX_STOP_CHARACTERS + " characters.",
                        text.length());
            }
            out.add(text);
        }
        return List.copyOf(out);
    }

    private static int[] stopIds(Fields body, ServedModel model) {
        int vocab = model.tokenizer().vocabSize();
        return body.array("stop_token_ids", vocab).stream()
                .mapToInt(v -> (int) Fields.integer(v, "stop_token_ids", 0, vocab - 1))
                .toArray();
    }

    private static long priority(Fields body, @Nullable String header) {
        long priority = body.integer("priority", Long.MIN_VALUE, Long.MAX_VALUE, 0);
        if (header == null) {
            return priority;
        }
        try {
            return Long.parseLong(header.strip());
        } catch (NumberFormatException e) {
            return priority;
        }
    }

    private static @Nullable String salt(Fields body) {
        String salt = body.string("cache_salt");
        if (salt == null) {
            return null;
        }
        boolean clean = salt.chars().noneMatch(c -> c == '@' || c == '/' || c == '\\' || c == 0);
        if (salt.isEmpty() || salt.length() > 128 || !clean) {
            throw ApiError.invalid(
                    "cache_salt", "cache_salt must have 1 to 128 characters, none of @ / \\ or NUL.", salt);
        }
        return salt;
    }

    private static @Nullable String side(Fields body) {
        String side = body.string("truncation_side");
        if (side != null && !side.equals("left") && !side.equals("right")) {
            throw ApiError.invalid("truncation_side", "truncation_side must be left or right.", side);
        }
        return side;
    }

    /** {@code logit_bias}: ids with what is added to their logits. */
    private record Bias(int[] tokens, float[] values) {
        static Bias read(Fields body, ServedModel model) {
            Fields given = body.object("logit_bias");
            if (given == null) {
                return new Bias(new int[0], new float[0]);
            }
            List<Integer> ids = new ArrayList<>();
            List<Float> values = new ArrayList<>();
            for (var entry : given.members()) {
                ids.add(id(entry.getKey(), model.tokenizer().vocabSize()));
                double value = Fields.finite(entry.getValue(), "logit_bias");
                values.add((float) Math.clamp(value, -100.0, 100.0));
            }
            float[] array = new float[values.size()];
            for (int i = 0; i < array.length; i++) {
                array[i] = values.get(i);
            }
            return new Bias(ids.stream().mapToInt(i -> i).toArray(), array);
        }

        private static int id(String key, int vocab) {
            try {
                int id = Integer.parseInt(key.strip());
                if (id >= 0 && id < vocab) {
                    return id;
                }
            } catch (NumberFormatException e) {
                // Answered below, like an id out of range.
            }
            throw ApiError.invalid(
                    "logit_bias", "The keys of logit_bias must be token ids between 0 and " + (vocab - 1) + ".", key);
        }
    }
}
