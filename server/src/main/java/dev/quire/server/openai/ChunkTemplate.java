package dev.quire.server.openai;

import dev.quire.scheduler.TextEvent;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * A chunk of which nothing but the text changes from token to token: the JSON before the text and after it.
 *
 * @param before up to the text's opening quote
 * @param after from the closing quote on
 */
record ChunkTemplate(byte[] before, byte[] after) {
    /** @param chunk writes a whole chunk with a given text in it, once */
    static ChunkTemplate of(Function<String, byte[]> chunk) {
        byte[] empty = chunk.apply("");
        int at = Arrays.mismatch(empty, chunk.apply("x"));
        return new ChunkTemplate(Arrays.copyOf(empty, at), Arrays.copyOfRange(empty, at, empty.length));
    }

    /** A delta of which a chunk tells nothing but the text. */
    static TextEvent.Delta delta(String text) {
        return new TextEvent.Delta(0, text, List.of(), null, null);
    }
}
