package dev.quire.model.tokenizer;

import dev.quire.model.weights.Texts;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The one-to-one map of GPT-2 between bytes and printable characters, in which byte-level vocabularies are written:
 * printable Latin-1 stands for itself, the other 68 bytes for U+0100 onwards.
 */
final class ByteAlphabet {
    private static final int LAST = 0x100 + 68;
    private static final char[] CHAR_OF_BYTE = new char[256];
    private static final short[] BYTE_OF_CHAR = new short[LAST];

    static {
        Arrays.fill(BYTE_OF_CHAR, (short) -1);
        int next = 0x100;
        for (int b = 0; b < 256; b++) {
            boolean printable = (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD);
            char c = (char) (printable ? b : next++);
            CHAR_OF_BYTE[b] = c;
            BYTE_OF_CHAR[c] = (short) b;
        }
    }

    private ByteAlphabet() {}

    /** The character that stands for a byte, 0 to 255. */
    static char charOf(int b) {
        return CHAR_OF_BYTE[b];
    }

    /** A piece of plain text as a byte-level vocabulary writes it. */
    static String written(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        StringBuilder out = new StringBuilder(bytes.length);
        for (byte b : bytes) {
            out.append(CHAR_OF_BYTE[b & 0xFF]);
        }
        return out.toString();
    }

    /** Writes the bytes that a piece stands for; false when it has a character that stands for none. */
    static boolean spell(Texts pieces, int id, Texts.Writer out) {
        byte[] utf8 = pieces.bytes();
        int end = pieces.end(id);
        for (int i = pieces.start(id); i < end; i++) {
            int c = utf8[i] >= 0 ? utf8[i] : twoBytes(utf8, i++, end);
            int b = c < LAST ? BYTE_OF_CHAR[c] : -1;
            if (b < 0) {
                return false;
            }
            out.write((byte) b);
        }
        return true;
    }

    /** The character that two bytes of UTF-8 make; what is longer is outside the table. */
    private static int twoBytes(byte[] utf8, int at, int end) {
        boolean two = at + 1 < end && (utf8[at] & 0xE0) == 0xC0;
        return two ? (utf8[at] & 0x1F) << 6 | (utf8[at + 1] & 0x3F) : LAST;
    }

    /** The bytes that a piece stands for, or null when it has a character that stands for none. */
    static byte @Nullable [] bytes(String piece) {
        byte[] bytes = new byte[piece.length()];
        for (int i = 0; i < bytes.length; i++) {
            char c = piece.charAt(i);
            int b = c < LAST ? BYTE_OF_CHAR[c] : -1;
            if (b < 0) {
                return null;
            }
            bytes[i] = (byte) b;
        }
        return bytes;
    }
}
