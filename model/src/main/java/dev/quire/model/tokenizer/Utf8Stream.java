package dev.quire.model.tokenizer;

/**
 * Decodes UTF-8 that arrives in pieces cut anywhere. Ill-formed input becomes U+FFFD, one for each maximal part that
 * could have begun a character (the rule of the WHATWG Encoding Standard). One owner at a time.
 */
final class Utf8Stream {
    private static final int REPLACEMENT = 0xFFFD;

    private int needed;
    private int lower = 0x80;
    private int upper = 0xBF;
    private int codePoint;

    /** Appends to {@code out} the characters that {@code bytes} complete. */
    void decode(byte[] bytes, StringBuilder out) {
        for (byte b : bytes) {
            accept(b & 0xFF, out);
        }
    }

    /** Ends the input: a character left unfinished becomes U+FFFD. */
    void end(StringBuilder out) {
        if (needed > 0) {
            out.appendCodePoint(REPLACEMENT);
            start();
        }
    }

    private void accept(int b, StringBuilder out) {
        if (needed > 0) {
            if (b >= lower && b <= upper) {
                lower = 0x80;
                upper = 0xBF;
                codePoint = (codePoint << 6) | (b & 0x3F);
                needed--;
                if (needed == 0) {
                    out.appendCodePoint(codePoint);
                }
                return;
            }
            out.appendCodePoint(REPLACEMENT);
            start();
        }
        lead(b, out);
    }

    private void lead(int b, StringBuilder out) {
        if (b < 0x80) {
            out.append((char) b);
        } else if (b >= 0xC2 && b <= 0xDF) {
            expect(1, b & 0x1F);
        } else if (b >= 0xE0 && b <= 0xEF) {
            expect(2, b & 0x0F);
            // No overlong forms, no surrogates.
            lower = b == 0xE0 ? 0xA0 : 0x80;
            upper = b == 0xED ? 0x9F : 0xBF;
        } else if (b >= 0xF0 && b <= 0xF4) {
            expect(3, b & 0x07);
            lower = b == 0xF0 ? 0x90 : 0x80;
            upper = b == 0xF4 ? 0x8F : 0xBF;
        } else {
            out.appendCodePoint(REPLACEMENT);
        }
    }

    private void expect(int more, int bits) {
        needed = more;
        codePoint = bits;
    }

    private void start() {
        needed = 0;
        lower = 0x80;
        upper = 0xBF;
    }
}
