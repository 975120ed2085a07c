package dev.quire.scheduler;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a {@link TextStream} says, in order. After {@link Done} or {@link Failed} nothing follows. */
public sealed interface TextEvent {
    /**
     * The text of one or more tokens of a choice. Text may be empty: held back because it may begin a stop string or is
     * half a character. A delta for each token, unless the reader has fallen behind and wants no log-probabilities.
     *
     * @param tokens the tokens of this delta, with log-probabilities where asked for
     * @param finish set on the choice's last delta
     * @param stopReason the matched stop string ({@link String}) or stop token id ({@link Integer}); null for the
     *     model's own end token
     */
    record Delta(
            int choice,
            String text,
            List<TokenText> tokens,
            @Nullable FinishReason finish,
            @Nullable Object stopReason) implements TextEvent {}

    /** The prompt's tokens with log-probabilities, before any delta; only when asked for. The first has none (NaN). */
    record Prompt(List<TokenText> tokens) implements TextEvent {}

    /** All choices have ended. */
    record Done(Usage usage) implements TextEvent {}

    /** The request failed. */
    record Failed(String message) implements TextEvent {}

    /**
     * A token as text.
     *
     * @param bytes not to be written
     * @param logprob NaN when not asked for
     * @param top best alternatives, best first
     */
    record TokenText(int id, byte[] bytes, float logprob, List<TokenText> top) {
        /** Its bytes as UTF-8, U+FFFD for parts of a character. */
        public String text() {
            return new String(bytes, StandardCharsets.UTF_8);
        }
    }
}
