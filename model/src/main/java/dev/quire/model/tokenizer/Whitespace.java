package dev.quire.model.tokenizer;

/** Unicode's White_Space property, which {@link Character#isWhitespace} is not. */
final class Whitespace {
    private Whitespace() {}

    static boolean is(int codePoint) {
        return switch (codePoint) {
            case '\t', '\n', 0x0B, '\f', '\r', ' ', 0x85, 0xA0 -> true;
            default ->
                codePoint >= 0x1680
                        && (codePoint == 0x1680
                                || (codePoint >= 0x2000 && codePoint <= 0x200A)
                                || codePoint == 0x2028
                                || codePoint == 0x2029
                                || codePoint == 0x202F
                                || codePoint == 0x205F
                                || codePoint == 0x3000);
        };
    }

    /** Where the white space that ends at {@code at} begins. */
    static int runBefore(String text, int at) {
        int start = at;
        while (start > 0 && is(text.charAt(start - 1))) {
            start--;
        }
        return start;
    }

    /** Where the white space that begins at {@code at} ends. */
    static int runAfter(String text, int at) {
        int end = at;
        while (end < text.length() && is(text.charAt(end))) {
            end++;
        }
        return end;
    }
}
