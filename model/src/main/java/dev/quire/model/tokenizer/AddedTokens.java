package dev.quire.model.tokenizer;

import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Finds added tokens in a text: the leftmost first, of several there the longest. Immutable; any thread. */
final class AddedTokens {
    /** What lies between tokens, and the tokens; each returns false to stop. */
    interface Sink {
        boolean text(String text, int from, int to);

        boolean token(int id);
    }

    private record Node(
            char[] labels, Node[] children, @Nullable AddedToken token) {
        @Nullable
        Node child(char label) {
            int at = Arrays.binarySearch(labels, label);
            return at < 0 ? null : children[at];
        }
    }

    private static final int MAX_CHARS = 1024;

    private final Node root;

    /** @throws IllegalArgumentException when a token is longer than any real one */
    AddedTokens(Collection<AddedToken> tokens) {
        for (AddedToken token : tokens) {
            if (token.text().length() > MAX_CHARS) {
                throw new IllegalArgumentException("added token " + token.id() + " has "
                        + token.text().length() + " characters, at most " + MAX_CHARS + " are allowed");
            }
        }
        List<AddedToken> sorted = tokens.stream()
                .filter(token -> !token.text().isEmpty())
                .sorted(Comparator.comparing(AddedToken::text))
                .toList();
        root = node(sorted, 0);
    }

    private static Node node(List<AddedToken> sorted, int depth) {
        AddedToken here = null;
        int from = 0;
        while (from < sorted.size() && sorted.get(from).text().length() == depth) {
            here = sorted.get(from++);
        }
        char[] labels = new char[sorted.size() - from];
        Node[] children = new Node[labels.length];
        int count = 0;
        while (from < sorted.size()) {
            char label = sorted.get(from).text().charAt(depth);
            int to = from + 1;
            while (to < sorted.size() && sorted.get(to).text().charAt(depth) == label) {
                to++;
            }
            labels[count] = label;
            children[count++] = node(sorted.subList(from, to), depth + 1);
            from = to;
        }
        return new Node(Arrays.copyOf(labels, count), Arrays.copyOf(children, count), here);
    }

    /** Cuts the text at the tokens found; false when the sink stopped it. */
    boolean split(String text, boolean parseSpecial, Sink sink) {
        int done = 0;
        for (int i = 0; i < text.length(); ) {
            AddedToken token = longest(text, i, parseSpecial);
            if (token == null) {
                i++;
                continue;
            }
            int end = i + token.text().length();
            if (token.singleWord() && (wordBefore(text, i) || wordAfter(text, end))) {
                i = end;
                continue;
            }
            int start = token.leftStrip() ? Math.max(done, Whitespace.runBefore(text, i)) : i;
            if (token.rightStrip()) {
                end = Whitespace.runAfter(text, end);
            }
            if ((start > done && !sink.text(text, done, start)) || !sink.token(token.id())) {
                return false;
            }
            done = end;
            i = end;
        }
        return done == text.length() || sink.text(text, done, text.length());
    }

    private @Nullable AddedToken longest(String text, int at, boolean parseSpecial) {
        AddedToken found = null;
        Node node = root;
        for (int i = at; i < text.length(); i++) {
            node = node.child(text.charAt(i));
            if (node == null) {
                break;
            }
            if (node.token != null && (parseSpecial || !node.token.special())) {
                found = node.token;
            }
        }
        return found;
    }

    private static boolean wordBefore(String text, int at) {
        return at > 0 && isWord(text.codePointBefore(at));
    }

    private static boolean wordAfter(String text, int at) {
        return at < text.length() && isWord(text.codePointAt(at));
    }

    private static boolean isWord(int codePoint) {
        return switch (Character.getType(codePoint)) {
            case Character.NON_SPACING_MARK,
                    Character.ENCLOSING_MARK,
                    Character.COMBINING_SPACING_MARK,
                    Character.CONNECTOR_PUNCTUATION -> true;
            default -> Character.isAlphabetic(codePoint) || Character.isDigit(codePoint);
        };
    }
}
