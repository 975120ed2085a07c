package dev.quire.model.tokenizer;

/** Well-formed text and its bytes. */
final class Utf8 {
    private static final char REPLACEMENT = '\uFFFD';

    private Utf8() {}

    /** The text with every lone surrogate replaced by U+FFFD; the same object when there is none. */
    static CharSequence wellFormed(CharSequence text) {
        int length = text.length();
        for (int i = 0; i < length; i++) {
            if (isLone(text, i)) {
                return repaired(text);
            }
        }
        return text;
    }

    private static CharSequence repaired(CharSequence text) {
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            out.append(isLone(text, i) ? REPLACEMENT : text.charAt(i));
        }
        return out;
    }

    private static boolean isLone(CharSequence text, int i) {
        char c = text.charAt(i);
        if (!Character.isSurrogate(c)) {
            return false;
        }
        return Character.isHighSurrogate(c)
                ? i + 1 == text.length() || !Character.isLowSurrogate(text.charAt(i + 1))
                : i == 0 || !Character.isHighSurrogate(text.charAt(i - 1));
    }
}
