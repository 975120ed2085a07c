package dev.quire.model.tokenizer;

import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A regular expression of a tokenizer file, in the dialect of Oniguruma as far as such files use it. Patterns that we do
 * not know are not trusted: their work on a text is bounded. Immutable; any thread.
 */
final class SplitPattern {
    private static final int STEPS_PER_CHAR = 1_000;
    private static final int FREE_STEPS = 1_000_000;
    private static final int MAX_GROWTH = 8;
    /** A repetition counted in hundreds, or of a group: an empty group is repeated without a look at the text. */
    private static final Pattern COUNTED = Pattern.compile("\\)\\{\\d|\\{\\d{4,}|\\{\\d*,\\d{4,}");

    private static final Set<String> SCRIPTS =
            Set.of("Han", "Hiragana", "Katakana", "Hangul", "Latin", "Greek", "Cyrillic", "Arabic", "Hebrew", "Thai");

    private final Pattern pattern;
    private final boolean trusted;

    private SplitPattern(Pattern pattern, boolean trusted) {
        this.pattern = pattern;
        this.trusted = trusted;
    }

    /** One of ours, known to take time in proportion to the text. */
    static SplitPattern trusted(String regex) {
        return new SplitPattern(compiled(regex), true);
    }

    /** A plain text to be found as it is. */
    static SplitPattern literal(String text) {
        return new SplitPattern(Pattern.compile(Pattern.quote(text)), true);
    }

    /**
     * One from a file.
     *
     * @throws IllegalArgumentException when it is not understood
     */
    static SplitPattern untrusted(String regex) {
        boolean known = KnownPatterns.isKnown(regex);
        if (!known && COUNTED.matcher(regex).find()) {
            throw new IllegalArgumentException(
                    "the regular expression " + regex + " is not supported: it counts repetitions of a group");
        }
        try {
            return new SplitPattern(compiled(regex), known);
        } catch (PatternSyntaxException | StackOverflowError e) {
            throw new IllegalArgumentException("the regular expression " + regex + " is not supported", e);
        }
    }

    private static Pattern compiled(String regex) {
        String java = regex;
        for (String script : SCRIPTS) {
            java = java.replace("\\p{" + script + "}", "\\p{Is" + script + "}");
        }
        // With it \s, \w and \d mean Unicode's properties and (?i:) folds as Unicode does.
        return Pattern.compile(java, Pattern.UNICODE_CHARACTER_CLASS);
    }

    /** A matcher that sees text[from, to) alone. */
    Matcher matcher(String text, int from, int to) {
        CharSequence seen = trusted ? text : new Counted(text, STEPS_PER_CHAR * (to - from + 0L) + FREE_STEPS);
        return pattern.matcher(seen).region(from, to);
    }

    /** The next match; the regular expression of a hostile file ends in an exception. */
    boolean find(Matcher matcher) {
        try {
            return matcher.find();
        } catch (StackOverflowError e) {
            throw new IllegalStateException(
                    "the tokenizer's regular expression " + pattern + " needs too much stack for this text", e);
        }
    }

    /** The text with each match replaced, the replacement being taken as it is. */
    String replaceAll(String text, String replacement) {
        Matcher matcher = matcher(text, 0, text.length());
        StringBuilder out = new StringBuilder(text.length());
        int done = 0;
        while (find(matcher)) {
            out.append(text, done, matcher.start()).append(replacement);
            if (out.length() > MAX_GROWTH * (text.length() + 1024L)) {
                throw new IllegalStateException("the tokenizer's normalizer makes this text too long");
            }
            done = matcher.end();
        }
        return out.append(text, done, text.length()).toString();
    }

    /** A text that can be read so many times only. */
    private static final class Counted implements CharSequence {
        private final String text;
        private long left;

        Counted(String text, long steps) {
            this.text = text;
            this.left = steps;
        }

        @Override
        public char charAt(int index) {
            if (--left < 0) {
                throw new IllegalStateException("the tokenizer's regular expression takes too long for this text");
            }
            return text.charAt(index);
        }

        @Override
        public int length() {
            return text.length();
        }

        @Override
        public CharSequence subSequence(int start, int end) {
            return text.subSequence(start, end);
        }

        @Override
        public String toString() {
            return text;
        }
    }
}
