package dev.quire.bench;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;

/** The flags that say what requests are like and how they are judged; the same wherever load is made. */
final class LoadFlags {
    @Option(names = "--seed", defaultValue = "1", description = "decides lengths and times (default: ${DEFAULT-VALUE})")
    private long seed;

    @Option(
            names = "--prompt-seed",
            description = "decides the tokens of prompts (default: new each time, so that no prefix cache knows them)")
    private @Nullable Long promptSeed;

    @Option(
            names = "--prompt",
            defaultValue = "ids",
            description = "ids: token ids, exact lengths; text: words, for servers that take no ids (default:"
                    + " ${DEFAULT-VALUE})")
    private String prompt = "";

    @Option(
            names = "--warm-up",
            defaultValue = "4",
            paramLabel = "N",
            description = "requests before the measured ones (default: ${DEFAULT-VALUE})")
    private int warmUp;

    @Option(
            names = "--timeout",
            defaultValue = "300",
            paramLabel = "SECONDS",
            description = "silence after which a request has failed (default: ${DEFAULT-VALUE})")
    private int timeout;

    @Option(names = "--slo-ttft", paramLabel = "MS", description = "goodput: most time to the first chunk")
    private @Nullable Double sloTtft;

    @Option(
            names = "--slo-itl",
            paramLabel = "MS",
            description = "goodput: most time per token after it, a request's mean")
    private @Nullable Double sloItl;

    /** Every flag of a command and its value, save keys and help. */
    static Map<String, String> values(CommandSpec command) {
        Map<String, String> values = new LinkedHashMap<>();
        for (OptionSpec option : command.options()) {
            Object value = option.getValue();
            if (!option.usageHelp() && !option.longestName().equals("--api-key") && value != null) {
                values.put(option.longestName(), value.toString());
            }
        }
        return values;
    }

    long seed() {
        return seed;
    }

    /** The given one, or another each time. */
    long promptSeed() {
        return promptSeed == null ? System.currentTimeMillis() : promptSeed;
    }

    int warmUp() {
        return warmUp;
    }

    Slo slo() {
        double none = Double.POSITIVE_INFINITY;
        return new Slo(sloTtft == null ? none : sloTtft, sloItl == null ? none : sloItl);
    }

    /**
     * What measures a server so.
     *
     * @param tokens decides the tokens of prompts
     * @throws IllegalArgumentException when a flag has a value that is not allowed
     */
    Measurement measurement(Target target, String model, long tokens) {
        if (warmUp < 0 || timeout < 1) {
            throw new IllegalArgumentException("--warm-up must be 0 or more, --timeout 1 or more");
        }
        RequestBodies.Form form = switch (prompt.toLowerCase(Locale.ROOT)) {
            case "ids" -> RequestBodies.Form.IDS;
            case "text" -> RequestBodies.Form.TEXT;
            default -> throw new IllegalArgumentException("prompt is '" + prompt + "', allowed: ids, text");
        };
        return new Measurement(target, model, form, tokens, Duration.ofSeconds(timeout), slo());
    }
}
