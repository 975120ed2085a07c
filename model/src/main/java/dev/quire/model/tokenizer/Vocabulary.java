package dev.quire.model.tokenizer;

import java.util.HashMap;
import java.util.Map;

/**
 * The tokens by id. Ids that no token has are empty pieces.
 *
 * @param pieces as the model's file writes them
 * @param bytes as they appear in text
 * @param special left out of the text when the client wishes so
 * @param ids of the pieces
 */
record Vocabulary(String[] pieces, byte[][] bytes, boolean[] special, Map<String, Integer> ids) {
    /** A vocabulary without bytes and special tokens yet; of equal pieces the first keeps the name. */
    static Vocabulary of(String[] pieces) {
        Map<String, Integer> ids = HashMap.newHashMap(pieces.length);
        for (int id = 0; id < pieces.length; id++) {
            if (!pieces[id].isEmpty()) {
                ids.putIfAbsent(pieces[id], id);
            }
        }
        return new Vocabulary(pieces, new byte[pieces.length][], new boolean[pieces.length], ids);
    }

    int size() {
        return pieces.length;
    }

    /** Id of a piece, or -1. */
    int id(String piece) {
        return ids.getOrDefault(piece, -1);
    }

    /** Bytes of the longest token, at least 1. */
    int longestToken() {
        int longest = 1;
        for (byte[] token : bytes) {
            longest = Math.max(longest, token.length);
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
