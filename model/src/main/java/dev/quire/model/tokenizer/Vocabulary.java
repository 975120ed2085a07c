package dev.quire.model.tokenizer;

import dev.quire.model.weights.Texts;
import java.nio.charset.StandardCharsets;

/**
 * The tokens by id. Ids that no token has are empty pieces.
 *
 * @param pieces as the model's file writes them
 * @param bytes as they appear in text
 * @param special left out of the text when the client wishes so
 * @param ids of the pieces; of equal ones the first
 */
record Vocabulary(Texts pieces, Texts bytes, boolean[] special, PieceTable ids) {
    int size() {
        return pieces.size();
    }

    String piece(int id) {
        return pieces.get(id);
    }

    /** Id of a piece, or -1. */
    int id(String piece) {
        byte[] text = piece.getBytes(StandardCharsets.UTF_8);
        return ids.find(text, 0, text.length);
    }

    /** Bytes of the longest token, at least 1. */
    int longestToken() {
        int longest = 1;
        for (int id = 0; id < bytes.size(); id++) {
            longest = Math.max(longest, bytes.end(id) - bytes.start(id));
        }
        return longest;
    }

    /** The byte that a piece such as {@code <0x0A>} stands for, or -1. */
    static int byteOf(String piece) {
        if (piece.length() != 6 || !piece.startsWith("<0x") || piece.charAt(5) != '>') {
            return -1;
        }
        int high = Character.digit(piece.charAt(3), 16);
        int low = Character.digit(piece.charAt(4), 16);
        return high < 0 || low < 0 ? -1 : 16 * high + low;
    }

    /** For each byte the id of the token such as {@code <0x0A>}, or -1. */
    int[] byteTokens() {
        int[] tokens = new int[256];
        for (int b = 0; b < 256; b++) {
            tokens[b] = id("<0x%02X>".formatted(b));
        }
        return tokens;
    }
}
