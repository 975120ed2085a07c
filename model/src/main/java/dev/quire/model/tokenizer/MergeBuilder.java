package dev.quire.model.tokenizer;

import dev.quire.model.weights.Texts;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Makes a merge table of written merges, the earliest first. One owner. */
final class MergeBuilder {
    private final PieceTable ids;
    private final MergeTable table;
    private int rank;

    /** @param merges how many will be added at most */
    MergeBuilder(PieceTable ids, int merges) {
        this.ids = ids;
        this.table = new MergeTable(merges);
    }

    /** Adds merges written as two pieces with a space between; returns what is wrong with one, or null. */
    @Nullable
    String addAll(Texts merges) {
        for (int i = 0; i < merges.size(); i++) {
            String problem = add(merges.bytes(), merges.start(i), merges.end(i));
            if (problem != null) {
                return problem;
            }
        }
        return null;
    }

    /** Adds a merge written as two pieces with a space between; returns what is wrong with it, or null. */
    @Nullable
    String add(String merge) {
        byte[] bytes = merge.getBytes(StandardCharsets.UTF_8);
        return add(bytes, 0, bytes.length);
    }

    /** Adds a merge of two pieces; returns what is wrong with it, or null. */
    @Nullable
    String add(String left, String right) {
        byte[] bytes = (left + " " + right).getBytes(StandardCharsets.UTF_8);
        return add(bytes, 0, left.getBytes(StandardCharsets.UTF_8).length, bytes.length);
    }

    private @Nullable String add(byte[] bytes, int from, int to) {
        int space = from + 1;
        while (space < to && bytes[space] != ' ') {
            space++;
        }
        if (space >= to) {
            return "merge " + rank + " is not two pieces with a space between: " + text(bytes, from, to);
        }
        return add(bytes, from, space, to);
    }

    private @Nullable String add(byte[] bytes, int from, int space, int to) {
        int left = ids.find(bytes, from, space);
        int right = ids.find(bytes, space + 1, to);
        int result = ids.findJoined(bytes, from, space, to);
        if (left < 0 || right < 0 || result < 0) {
            return "merge " + rank + " names a piece outside the vocabulary: " + text(bytes, from, to);
        }
        table.put(left, right, rank++, result);
        return null;
    }

    private static String text(byte[] bytes, int from, int to) {
        return new String(bytes, from, to - from, StandardCharsets.UTF_8);
    }

    MergeTable table() {
        return table;
    }
}
