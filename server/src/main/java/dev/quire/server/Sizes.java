package dev.quire.server;

import java.util.Locale;

/** Numbers as people write them on a command line. What is none is an IllegalArgumentException. */
final class Sizes {
    private Sizes() {}

    /** Bytes: 1024 based, with K, M, G or T, an optional i and B: {@code 512M}, {@code 4GiB}. */
    static long bytes(String value) {
        String text = value.trim().toUpperCase(Locale.ROOT);
        text = text.endsWith("IB") ? text.substring(0, text.length() - 2) : text;
        text = text.endsWith("B") ? text.substring(0, text.length() - 1) : text;
        return scaled(value, text, 1024, "a size such as 512M or 4G");
    }

    /** Tokens: 1000 based with k or m in lower case, 1024 based with K or M; {@code auto} and -1 are 0. */
    static int tokens(String value) {
        String text = value.trim();
        if (text.equalsIgnoreCase("auto") || text.equals("-1")) {
            return 0;
        }
        boolean decimal = text.endsWith("k") || text.endsWith("m");
        long tokens = scaled(
                value, text.toUpperCase(Locale.ROOT), decimal ? 1000 : 1024, "a number such as 4096, 32k or auto");
        if (tokens < 1 || tokens > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("'" + value + "' is not a number of tokens above 0");
        }
        return (int) tokens;
    }

    private static long scaled(String value, String text, long base, String wanted) {
        int power = text.isEmpty() ? -1 : "KMGT".indexOf(text.charAt(text.length() - 1));
        String digits = power < 0 ? text : text.substring(0, text.length() - 1);
        try {
            long number = Long.parseLong(digits);
            for (int i = 0; i <= power; i++) {
                number = Math.multiplyExact(number, base);
            }
            if (number < 0) {
                throw new NumberFormatException("negative");
            }
            return number;
        } catch (NumberFormatException | ArithmeticException e) {
            throw new IllegalArgumentException("'" + value + "' is not " + wanted, e);
        }
    }
}
