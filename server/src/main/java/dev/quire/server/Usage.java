package dev.quire.server;

import java.util.List;

/** Prints flags in two columns. */
final class Usage {
    private static final int COLUMN = 29;
    private static final int WIDTH = 80;

    private Usage() {}

    /** The heading, then each flag and what it means. */
    static String text(String heading, List<Flag> flags) {
        StringBuilder out = new StringBuilder(heading);
        for (Flag flag : flags) {
            String name = (flag.name().equals("--help") ? "  -h, " : "      ") + flag.written();
            out.append(name);
            int at = name.length();
            if (at > COLUMN - 1) {
                out.append('\n');
                at = 0;
            }
            wrap(flag.explained(), at, out);
        }
        return out.toString();
    }

    private static void wrap(String text, int from, StringBuilder out) {
        int at = from;
        for (String word : text.split(" ", -1)) {
            if (at > COLUMN && at + 1 + word.length() > WIDTH) {
                out.append('\n');
                at = 0;
            }
            int gap = at < COLUMN ? COLUMN - at : 1;
            out.repeat(' ', gap).append(word);
            at += gap + word.length();
        }
        out.append('\n');
    }
}
