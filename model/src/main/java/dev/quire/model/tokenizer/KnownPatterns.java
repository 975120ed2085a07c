package dev.quire.model.tokenizer;

import dev.quire.model.tokenizer.PreTokenizer.Behavior;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The regular expressions by which the well-known model families cut text, and their names in GGUF files. */
final class KnownPatterns {
    static final String GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

    private static final String CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private static final String SPACES = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private static final String UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
    private static final String LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
    private static final String JOINED = "[^\\r\\n\\p{L}\\p{N}]?";
    private static final String MARKS = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*";

    static final String LLAMA3 =
            CONTRACTIONS + "|" + JOINED + "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" + SPACES;
    static final String QWEN2 = CONTRACTIONS + "|" + JOINED + "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" + SPACES;
    private static final String O200K = JOINED + UPPER + "*" + LOWER + "+" + CONTRACTIONS + "?|" + JOINED + UPPER + "+"
            + LOWER + "*" + CONTRACTIONS + "?|\\p{N}{1,3}" + MARKS + SPACES;
    private static final String TEKKEN =
            JOINED + UPPER + "*" + LOWER + "+|" + JOINED + UPPER + "+" + LOWER + "*|\\p{N}" + MARKS + SPACES;
    private static final String DIGIT = "\\p{N}";
    private static final String THREE_DIGITS = "[0-9][0-9][0-9]";
    private static final String DEEPSEEK3 = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
            + "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*" + SPACES;

    private static final Map<List<String>, List<String>> BY_PATTERNS = Map.of(
            List.of(GPT2), List.of("gpt-2", "phi-2", "jina-es", "jina-de", "mpt", "olmo", "jais", "trillion"),
            List.of(DIGIT, GPT2), List.of("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"),
            List.of(LLAMA3), List.of("llama-bpe", "llama3", "llama-v3", "falcon3", "smaug-bpe", "dbrx"),
            List.of(QWEN2), List.of("qwen2", "stablelm2", "deepseek-r1-qwen", "megrez", "hunyuan"),
            List.of(O200K), List.of("gpt-4o", "llama4"),
            List.of(TEKKEN), List.of("tekken"),
            List.of("\\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", DEEPSEEK3), List.of("deepseek-v3"),
            List.of("[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, THREE_DIGITS), List.of("falcon"),
            List.of("[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", THREE_DIGITS), List.of("default"));

    private static final Set<String> KNOWN =
            BY_PATTERNS.keySet().stream().flatMap(List::stream).collect(Collectors.toUnmodifiableSet());

    private KnownPatterns() {}

    /** Whether the pattern is one of ours, whose cost we know. */
    static boolean isKnown(String regex) {
        return KNOWN.contains(regex);
    }

    /** How a GGUF file with this {@code tokenizer.ggml.pre} cuts text, or null for a name not known. */
    static @Nullable PreTokenizer named(String name) {
        for (Map.Entry<List<String>, List<String>> entry : BY_PATTERNS.entrySet()) {
            if (entry.getValue().contains(name)) {
                return new PreTokenizer.Chain(entry.getKey().stream()
                        .<PreTokenizer>map(
                                regex -> new PreTokenizer.Split(SplitPattern.trusted(regex), Behavior.ISOLATED, false))
                        .toList());
            }
        }
        return null;
    }

    /** All names that {@link #named} knows, sorted. */
    static List<String> names() {
        return BY_PATTERNS.values().stream().flatMap(List::stream).sorted().toList();
    }
}
