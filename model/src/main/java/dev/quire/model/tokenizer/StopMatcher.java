package dev.quire.model.tokenizer;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Looks for stop strings in text that comes in pieces, and holds back text that may begin one. The match is the one that
 * is complete first; of several that end together, the longest. The outcome does not depend on how the text is cut.
 * Costs one comparison per character and stop string, on average (Knuth, Morris, Pratt). Not thread safe.
 */
public final class StopMatcher {
    /**
     * @param text text that is certain now
     * @param stop the stop string that ended the text, or null while it goes on
     */
    public record Match(String text, @Nullable String stop) {}

    private final boolean include;
    private final List<String> given;
    private final String[] stops;
    private final int[][] fallback;
    private final int[] matched;
    private final StringBuilder held = new StringBuilder();
    private @Nullable String found;

    /**
     * @param stops the stop strings, none of them empty; the list may be
     * @param include whether the matched stop string stays in the text
     */
    public StopMatcher(List<String> stops, boolean include) {
        this.include = include;
        this.given = List.copyOf(stops);
        this.stops = new String[given.size()];
        this.fallback = new int[given.size()][];
        this.matched = new int[given.size()];
        for (int i = 0; i < given.size(); i++) {
            this.stops[i] = Utf8.wellFormed(given.get(i)).toString();
            if (this.stops[i].isEmpty()) {
                throw new IllegalArgumentException("a stop string must not be empty");
            }
            fallback[i] = borders(this.stops[i]);
        }
    }

    /** Takes the next piece of text; once a stop string has matched, text is ignored. */
    public Match push(String delta) {
        if (found != null) {
            return new Match("", found);
        }
        if (stops.length == 0) {
            return new Match(delta, null);
        }
        for (int i = 0; i < delta.length(); i++) {
            held.append(delta.charAt(i));
            int hit = advance(delta.charAt(i));
            if (hit >= 0) {
                found = given.get(hit);
                int end = held.length() - (include ? 0 : stops[hit].length());
                return new Match(take(end), found);
            }
        }
        int keep = 0;
        for (int length : matched) {
            keep = Math.max(keep, length);
        }
        return new Match(take(held.length() - keep), null);
    }

    /** Ends the text: what was held back, empty after a match. */
    public String flush() {
        return found != null ? "" : take(held.length());
    }

    /** Index of the longest stop string that ends with this character, or -1. */
    private int advance(char c) {
        int hit = -1;
        for (int i = 0; i < stops.length; i++) {
            String stop = stops[i];
            int length = matched[i];
            while (length > 0 && stop.charAt(length) != c) {
                length = fallback[i][length - 1];
            }
            if (stop.charAt(length) == c) {
                length++;
            }
            matched[i] = length;
            if (length == stop.length() && (hit < 0 || length > stops[hit].length())) {
                hit = i;
            }
        }
        return hit;
    }

    private String take(int length) {
        String text = held.substring(0, length);
        held.delete(0, length);
        return text;
    }

    /** For each prefix of the word, the length of its longest proper border. */
    private static int[] borders(String word) {
        int[] borders = new int[word.length()];
        int length = 0;
        for (int i = 1; i < borders.length; i++) {
            while (length > 0 && word.charAt(i) != word.charAt(length)) {
                length = borders[length - 1];
            }
            if (word.charAt(i) == word.charAt(length)) {
                length++;
            }
            borders[i] = length;
        }
        return borders;
    }
}
