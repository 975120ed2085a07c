package dev.quire.server;

import dev.quire.scheduler.EngineConfig;
import dev.quire.scheduler.Speculation;
import java.util.List;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** How sequences may guess, as vLLM writes it: a JSON object, or {@code none}. */
final class SpeculativeConfig {
    private static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .build())
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();
    private static final List<String> NUMBERS =
            List.of("num_speculative_tokens", "prompt_lookup_max", "prompt_lookup_min");
    private static final int MOST_GUESSES = 64;
    private static final int LONGEST_NGRAM = 32;

    private SpeculativeConfig() {}

    /** @throws IllegalArgumentException that says what is allowed */
    static Speculation parse(String value) {
        if (value.strip().equals("none")) {
            return Speculation.NONE;
        }
        JsonNode config = object(value);
        for (String name : config.propertyNames()) {
            if (!name.equals("method") && !NUMBERS.contains(name)) {
                throw new IllegalArgumentException(
                        "'" + name + "' is not known; allowed: method, " + String.join(", ", NUMBERS));
            }
        }
        JsonNode method = config.path("method");
        if (method.isString() && method.asString().equals("none")) {
            return Speculation.NONE;
        }
        if (!method.isMissingNode() && !(method.isString() && method.asString().equals("ngram"))) {
            throw new IllegalArgumentException("method is " + method + "; allowed: \"ngram\" and \"none\"");
        }
        Speculation defaults = EngineConfig.DEFAULTS.speculation();
        int guesses = number(config, "num_speculative_tokens", defaults.maxTokens(), 1, MOST_GUESSES);
        int shortest = number(config, "prompt_lookup_min", 0, 1, LONGEST_NGRAM);
        int longest = number(
                config,
                "prompt_lookup_max",
                Math.max(shortest, defaults.longest()),
                Math.max(1, shortest),
                LONGEST_NGRAM);
        return new Speculation(guesses, longest, shortest > 0 ? shortest : Math.min(longest, defaults.shortest()));
    }

    private static JsonNode object(String value) {
        JsonNode tree;
        try {
            tree = MAPPER.readTree(value);
        } catch (JacksonException e) {
            throw new IllegalArgumentException(
                    "'" + value + "' is neither none nor JSON: " + e.getOriginalMessage(), e);
        }
        if (!tree.isObject()) {
            throw new IllegalArgumentException(
                    "'" + value + "' is neither none nor a JSON object such as {\"method\": \"ngram\"}");
        }
        return tree;
    }

    private static int number(JsonNode config, String name, int absent, int least, int most) {
        JsonNode value = config.path(name);
        if (value.isMissingNode() || value.isNull()) {
            return absent;
        }
        if (!value.isIntegralNumber()
                || !value.canConvertToInt()
                || value.intValue() < least
                || value.intValue() > most) {
            throw new IllegalArgumentException(name + " is " + value + "; allowed: " + least + " to " + most);
        }
        return value.intValue();
    }
}
