package dev.quire.server.openai;

import dev.quire.model.chat.ChatFormat;
import dev.quire.model.tokenizer.Tokenizer;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What the endpoints know of the loaded model.
 *
 * @param names under which clients may ask for it; the first is echoed
 * @param root the path or id it was loaded from
 * @param createdSeconds when it was ready, unix time
 * @param maxModelLen positions of one sequence, prompt and output together
 * @param maxLogprobs alternatives that a client may ask for
 * @param maxChoices prompts times n that one request may have
 * @param healthy whether the engine still serves
 * @param chatFormat null for a model without a chat template
 */
public record ServedModel(
        List<String> names,
        String root,
        long createdSeconds,
        int maxModelLen,
        int maxLogprobs,
        int maxChoices,
        Tokenizer tokenizer,
        @Nullable ChatFormat chatFormat,
        TextSource texts,
        BooleanSupplier healthy) {
    /** The name that answers carry. */
    public String name() {
        return names.getFirst();
    }

    /** Refuses a name that is not served; null means the served model. */
    void requireName(@Nullable String asked) {
        if (asked != null && !names.contains(asked)) {
            throw new ApiError.UnknownModel(asked).exception();
        }
    }
}
