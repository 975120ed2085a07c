package dev.quire.model.tokenizer;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Pieces of text to ids: symbols, then merges, with the ids of recent pieces at hand. Any thread. */
final class BpeModel {
    private final Symbols symbols;
    private final MergeTable merges;
    private final @Nullable Map<String, Integer> whole;
    private final int longestToken;
    private final PieceCache cache = new PieceCache();

    /**
     * @param whole pieces found here are one token whatever the merges say (keys as a byte-level vocabulary writes
     *     them when the symbols are bytes), or null
     * @param longestToken bytes of the longest token
     */
    BpeModel(Symbols symbols, MergeTable merges, @Nullable Map<String, Integer> whole, int longestToken) {
        this.symbols = symbols;
        this.merges = merges;
        this.whole = whole;
        this.longestToken = longestToken;
    }

    /** Scratch space for one text. */
    Merger merger() {
        return new Merger(merges);
    }

    /** Appends the ids of text[from, to); false once {@code out} is over its limit. */
    boolean encode(String text, int from, int to, Merger merger, IdBuffer out) {
        int[] known = cache.find(text, from, to);
        if (known != null) {
            out.addAll(known, known.length);
            return !out.over();
        }
        long enough = (out.room() + 1L) * longestToken;
        if (to - from > enough && write(text, from, from + (int) enough, merger) / longestToken > out.room()) {
            out.overflow();
            return false;
        }
        Integer single = whole == null ? null : whole.get(written(text.substring(from, to)));
        int count = 1;
        if (single == null) {
            count = merger.merge(write(text, from, to, merger));
        } else {
            merger.symbols[0] = single;
        }
        cache.put(text, from, to, merger.symbols, count);
        out.addAll(merger.symbols, count);
        return !out.over();
    }

    private int write(String text, int from, int to, Merger merger) {
        merger.reserve(Math.addExact(3, Math.multiplyExact(3, to - from)));
        return symbols.write(text, from, to, merger.symbols);
    }

    private String written(String piece) {
        return symbols instanceof Symbols.Bytes ? ByteAlphabet.written(piece) : piece;
    }
}
