package dev.quire.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** What merging starts from: the smallest tokens of a piece of text. */
sealed interface Symbols {
    /**
     * Writes the symbols of text[from, to) to {@code out}, which has room for three a char and three more, and returns how many.
     */
    int write(String text, int from, int to, int[] out);

    /**
     * One symbol a byte.
     *
     * @param ids of the 256 bytes; a byte without token has the unknown token, or -1 and leaves no trace
     */
    record Bytes(int[] ids) implements Symbols {
        @Override
        public int write(String text, int from, int to, int[] out) {
            int n = 0;
            for (int i = from; i < to; i++) {
                int c = text.charAt(i);
                if (c < 0x80) {
                    n = put(c, out, n);
                } else if (c < 0x800) {
                    n = put(0xC0 | (c >> 6), out, n);
                    n = put(0x80 | (c & 0x3F), out, n);
                } else if (!Character.isHighSurrogate((char) c)) {
                    n = put(0xE0 | (c >> 12), out, n);
                    n = put(0x80 | ((c >> 6) & 0x3F), out, n);
                    n = put(0x80 | (c & 0x3F), out, n);
                } else {
                    int codePoint = text.codePointAt(i++);
                    n = put(0xF0 | (codePoint >> 18), out, n);
                    n = put(0x80 | ((codePoint >> 12) & 0x3F), out, n);
                    n = put(0x80 | ((codePoint >> 6) & 0x3F), out, n);
                    n = put(0x80 | (codePoint & 0x3F), out, n);
                }
            }
            return n;
        }

        private int put(int b, int[] out, int n) {
            int id = ids[b];
            if (id < 0) {
                return n;
            }
            out[n] = id;
            return n + 1;
        }
    }

    /** One symbol a character; one that has no token becomes its bytes' tokens, else the unknown token. */
    final class Characters implements Symbols {
        private static final int TABLE = 0x800;

        private final int[] table = new int[TABLE];
        private final Map<Integer, Integer> rest = new HashMap<>();
        private final int[] byteTokens;
        private final boolean fallback;
        private final int unknown;
        private final boolean fuseUnknown;

        /**
         * @param fallback whether the tokens such as {@code <0x0A>} stand in for characters without a token
         * @param unknown the unknown token, or -1 to leave out what has no token
         * @param fuseUnknown whether a run of unknown characters is one token
         */
        Characters(Vocabulary vocabulary, boolean fallback, int unknown, boolean fuseUnknown) {
            this.fallback = fallback;
            this.byteTokens = vocabulary.byteTokens();
            this.unknown = unknown;
            this.fuseUnknown = fuseUnknown;
            Arrays.fill(table, -1);
            for (int id = vocabulary.size() - 1; id >= 0; id--) { // of equal pieces the first stays
                String piece = vocabulary.piece(id);
                if (!piece.isEmpty() && piece.length() == Character.charCount(piece.codePointAt(0))) {
                    int codePoint = piece.codePointAt(0);
                    if (codePoint < TABLE) {
                        table[codePoint] = id;
                    } else {
                        rest.put(codePoint, id);
                    }
                }
            }
        }

        @Override
        public int write(String text, int from, int to, int[] out) {
            int n = 0;
            boolean inUnknown = false;
            for (int i = from; i < to; ) {
                int codePoint = text.codePointAt(i);
                i += Character.charCount(codePoint);
                int id = codePoint < TABLE ? table[codePoint] : rest.getOrDefault(codePoint, -1);
                if (id >= 0) {
                    out[n++] = id;
                    inUnknown = false;
                    continue;
                }
                int more = fallback ? bytes(codePoint, out, n) : 0;
                n += more;
                if (more > 0) {
                    inUnknown = false;
                } else if (unknown >= 0) {
                    if (!inUnknown || !fuseUnknown) {
                        out[n++] = unknown;
                    }
                    inUnknown = true;
                }
            }
            return n;
        }

        private int bytes(int codePoint, int[] out, int at) {
            byte[] bytes = Character.toString(codePoint).getBytes(StandardCharsets.UTF_8);
            for (int i = 0; i < bytes.length; i++) {
                int id = byteTokens[bytes[i] & 0xFF];
                if (id < 0) {
                    return 0;
                }
                out[at + i] = id;
            }
            return bytes.length;
        }
    }
}
