package dev.quire.model.tokenizer;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The ids of pieces seen lately: a table of fixed size in which a newcomer displaces whatever had its slot. Any thread;
 * entries are immutable, so a race costs at worst a piece encoded twice.
 */
final class PieceCache {
    private static final int SLOTS = 1 << 15;
    private static final int LONGEST_PIECE = 48;

    private record Entry(String piece, int[] ids) {}

    private final @Nullable Entry[] slots = new Entry[SLOTS];

    /** The ids of text[from, to), or null; not to be modified. */
    int @Nullable [] find(String text, int from, int to) {
        if (to - from > LONGEST_PIECE) {
            return null;
        }
        Entry entry = slots[slot(text, from, to)];
        return entry != null && entry.piece.length() == to - from && text.regionMatches(from, entry.piece, 0, to - from)
                ? entry.ids
                : null;
    }

    /** Remembers the first {@code count} ids as those of text[from, to), unless it is too long to be seen again. */
    void put(String text, int from, int to, int[] ids, int count) {
        if (to - from <= LONGEST_PIECE) {
            slots[slot(text, from, to)] = new Entry(text.substring(from, to), Arrays.copyOf(ids, count));
        }
    }

    private static int slot(String text, int from, int to) {
        int hash = 0;
        for (int i = from; i < to; i++) {
            hash = 31 * hash + text.charAt(i);
        }
        return (hash * 0x9E3779B9) >>> (32 - 15);
    }
}
