package dev.quire.model.tokenizer;

import dev.quire.model.tokenizer.PreTokenizer.Behavior;
import dev.quire.model.tokenizer.PreTokenizer.Metaspace;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** The pre-tokenizers of a tokenizer.json. */
final class JsonPreTokenizers {
    /**
     * @param bytes whether merging starts from the bytes of a piece, else from its characters
     */
    record Cut(PreTokenizer preTokenizer, boolean bytes) {}

    private final List<PreTokenizer> stages = new ArrayList<>();
    private boolean bytes;

    private JsonPreTokenizers() {}

    /** @throws IllegalArgumentException when a component is not supported */
    static Cut read(@Nullable JsonNode node) {
        if (node == null) {
            return new Cut(new PreTokenizer.Whole(), false);
        }
        JsonPreTokenizers reading = new JsonPreTokenizers();
        reading.add(node);
        PreTokenizer only =
                reading.stages.size() == 1 ? reading.stages.getFirst() : new PreTokenizer.Chain(reading.stages);
        return new Cut(only, reading.bytes);
    }

    private void add(JsonNode node) {
        String type = JsonFields.type(node);
        if (type.equals("Sequence")) {
            JsonFields.list(node, "pretokenizers").forEach(this::add);
            return;
        }
        if (bytes) {
            // What follows cuts the text as the byte alphabet writes it, and merging then starts from its characters.
            stages.add(new PreTokenizer.WriteBytes());
            bytes = false;
        }
        switch (type) {
            case "ByteLevel" -> addByteLevel(node);
            case "Split" ->
                stages.add(new PreTokenizer.Split(
                        JsonFields.pattern(node), behavior(node), JsonFields.flag(node, "invert", false)));
            case "Digits" ->
                stages.add(new PreTokenizer.Split(
                        SplitPattern.trusted("\\p{N}"),
                        JsonFields.flag(node, "individual_digits", false) ? Behavior.ISOLATED : Behavior.CONTIGUOUS,
                        false));
            case "Punctuation" ->
                stages.add(
                        new PreTokenizer.Split(SplitPattern.trusted("[\\p{P}!-/:-@\\[-`{-~]"), behavior(node), false));
            case "Whitespace" ->
                stages.add(new PreTokenizer.Split(SplitPattern.trusted("\\w+|[^\\w\\s]+"), Behavior.REMOVED, true));
            case "WhitespaceSplit" ->
                stages.add(new PreTokenizer.Split(SplitPattern.trusted("\\s"), Behavior.REMOVED, false));
            case "Metaspace" -> stages.add(metaspace(node));
            default -> throw JsonFields.unsupported("pre_tokenizer", type);
        }
    }

    private void addByteLevel(JsonNode node) {
        if (JsonFields.flag(node, "add_prefix_space", true)) {
            stages.add(new PreTokenizer.SpacePrefix());
        }
        if (JsonFields.flag(node, "use_regex", true)) {
            stages.add(new PreTokenizer.Split(SplitPattern.trusted(KnownPatterns.GPT2), Behavior.ISOLATED, false));
        }
        bytes = true;
    }

    private static Metaspace metaspace(JsonNode node) {
        String replacement = JsonFields.text(node, "replacement", "\u2581");
        if (replacement.length() != 1) {
            throw new IllegalArgumentException("pre_tokenizer Metaspace: replacement should be one character");
        }
        boolean prefixed = JsonFields.flag(node, "add_prefix_space", true);
        String scheme = JsonFields.text(node, "prepend_scheme", prefixed ? "always" : "never");
        Metaspace.Prefix prefix = switch (scheme) {
            case "always" -> Metaspace.Prefix.ALWAYS;
            case "first" -> Metaspace.Prefix.FIRST;
            case "never" -> Metaspace.Prefix.NEVER;
            default -> throw JsonFields.unsupported("pre_tokenizer Metaspace: prepend_scheme", scheme);
        };
        return new Metaspace(replacement.charAt(0), prefix, JsonFields.flag(node, "split", true));
    }

    private static Behavior behavior(JsonNode node) {
        String name = JsonFields.text(node, "behavior", "Isolated").toLowerCase(Locale.ROOT);
        return switch (name) {
            case "removed" -> Behavior.REMOVED;
            case "isolated" -> Behavior.ISOLATED;
            case "mergedwithprevious" -> Behavior.MERGED_WITH_PREVIOUS;
            case "mergedwithnext" -> Behavior.MERGED_WITH_NEXT;
            case "contiguous" -> Behavior.CONTIGUOUS;
            default -> throw JsonFields.unsupported("pre_tokenizer: behavior", name);
        };
    }
}
