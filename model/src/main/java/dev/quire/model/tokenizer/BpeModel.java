package dev.quire.model.tokenizer;

import org.jspecify.annotations.Nullable;

/** Pieces of text to ids: symbols, then merges, with the ids of recent pieces at hand. Any thread. */
final class BpeModel {
    private final Symbols symbols;
    private final MergeTable merges;
    private final @Nullable Vocabulary whole;
    private final int longestToken;
    private final PieceCache cache = new PieceCache();

    /**
     * @param whole pieces found here are one token whatever the merges say, or null
     * @param longestToken bytes of the longest token
     */
    BpeModel(Symbols symbols, MergeTable merges, @Nullable Vocabulary whole, int longestToken) {
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
        int single = whole == null ? -1 : whole.id(written(text.substring(from, to)));
        int count = 1;
        if (single < 0) {
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
