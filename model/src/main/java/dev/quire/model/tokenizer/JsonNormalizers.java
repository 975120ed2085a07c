package dev.quire.model.tokenizer;

import java.text.Normalizer.Form;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** The normalizers of a tokenizer.json. */
final class JsonNormalizers {
    private JsonNormalizers() {}

    /** @throws IllegalArgumentException when a component is not supported */
    static TextNormalizer read(@Nullable JsonNode node) {
        if (node == null) {
            return TextNormalizer.NONE;
        }
        String type = JsonFields.type(node);
        return switch (type) {
            case "Sequence" -> {
                List<TextNormalizer> stages = JsonFields.list(node, "normalizers").stream()
                        .map(JsonNormalizers::read)
                        .toList();
                yield TextNormalizer.chain(stages);
            }
            case "NFC" -> TextNormalizer.unicode(Form.NFC);
            case "NFD" -> TextNormalizer.unicode(Form.NFD);
            case "NFKC" -> TextNormalizer.unicode(Form.NFKC);
            case "NFKD" -> TextNormalizer.unicode(Form.NFKD);
            case "Lowercase" -> text -> text.toLowerCase(Locale.ROOT);
            case "Prepend" -> {
                String prefix = JsonFields.text(node, "prepend", "");
                yield text -> text.isEmpty() ? text : prefix + text;
            }
            case "Replace" -> {
                SplitPattern pattern = JsonFields.pattern(node);
                String content = JsonFields.text(node, "content", "");
                yield text -> pattern.replaceAll(text, content);
            }
            default -> throw JsonFields.unsupported("normalizer", type);
        };
    }
}
