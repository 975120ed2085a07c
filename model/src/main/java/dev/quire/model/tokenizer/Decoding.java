package dev.quire.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * How the pieces of a tokenizer.json become text, as its decoder says.
 *
 * @param byteLevel pieces are written in the byte alphabet
 * @param byteTokens pieces such as {@code <0x0A>} are bytes
 * @param rewriting what is replaced in the other pieces
 * @param stripsLeadingSpace the first space of a text is dropped
 */
record Decoding(
        boolean byteLevel, boolean byteTokens, List<UnaryOperator<String>> rewriting, boolean stripsLeadingSpace) {
    /** @throws IllegalArgumentException when a component is not supported */
    static Decoding of(@Nullable JsonNode node) {
        if (node == null) {
            throw new IllegalArgumentException("decoder is missing");
        }
        Builder builder = new Builder();
        builder.read(node);
        return new Decoding(builder.byteLevel, builder.byteTokens, builder.rewriting, builder.strips);
    }

    private static final class Builder {
        private boolean byteLevel;
        private boolean byteTokens;
        private boolean strips;
        private final List<UnaryOperator<String>> rewriting = new ArrayList<>();

        void read(JsonNode node) {
            String type = JsonFields.type(node);
            switch (type) {
                case "Sequence" -> JsonFields.list(node, "decoders").forEach(this::read);
                case "ByteLevel" -> byteLevel = true;
                case "ByteFallback" -> byteTokens = true;
                case "Fuse" -> {
                    // Pieces are joined without anything between in any case.
                }
                case "Replace" -> replace(node);
                case "Strip" -> strip(node);
                case "Metaspace" -> metaspace(node);
                default -> throw JsonFields.unsupported("decoder", type);
            }
        }

        private void replace(JsonNode node) {
            SplitPattern pattern = JsonFields.pattern(node);
            String content = JsonFields.text(node, "content", "");
            rewriting.add(piece -> pattern.replaceAll(piece, content));
        }

        private void strip(JsonNode node) {
            int start = JsonFields.number(node, "start", 0);
            int stop = JsonFields.number(node, "stop", 0);
            if (!JsonFields.text(node, "content", "").equals(" ") || start > 1 || stop != 0) {
                throw new IllegalArgumentException("decoder Strip of anything but one leading space is not supported");
            }
            strips = start == 1;
        }

        private void metaspace(JsonNode node) {
            String replacement = JsonFields.text(node, "replacement", "\u2581");
            rewriting.add(piece -> piece.replace(replacement, " "));
            boolean prefixed = JsonFields.flag(node, "add_prefix_space", true);
            strips = !JsonFields.text(node, "prepend_scheme", prefixed ? "always" : "never")
                    .equals("never");
        }
    }

    /** The bytes that a piece stands for. */
    byte[] bytes(String piece) {
        byte[] bytes = byteLevel ? ByteAlphabet.bytes(piece) : null;
        if (bytes != null) {
            return bytes;
        }
        int single = byteTokens ? Vocabulary.byteOf(piece) : -1;
        if (single >= 0) {
            return new byte[] {(byte) single};
        }
        String text = piece;
        for (UnaryOperator<String> step : rewriting) {
            text = step.apply(text);
        }
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
