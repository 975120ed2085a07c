package dev.quire.model.tokenizer;

import org.jspecify.annotations.Nullable;

/** Makes a merge table of written merges, the earliest first. One owner. */
final class MergeBuilder {
    private final Vocabulary vocabulary;
    private final MergeTable table;
    private int rank;

    /** @param merges how many will be added at most */
    MergeBuilder(Vocabulary vocabulary, int merges) {
        this.vocabulary = vocabulary;
        this.table = new MergeTable(merges);
    }

    /** Adds a merge written as two pieces with a space between; returns what is wrong with it, or null. */
    @Nullable
    String add(String merge) {
        int space = merge.indexOf(' ', 1);
        if (space < 0) {
            return "merge " + rank + " is not two pieces with a space between: " + merge;
        }
        return add(merge.substring(0, space), merge.substring(space + 1));
    }

    /** Adds a merge of two pieces; returns what is wrong with it, or null. */
    @Nullable
    String add(String left, String right) {
        int leftId = vocabulary.id(left);
        int rightId = vocabulary.id(right);
        int result = vocabulary.id(left + right);
        if (leftId < 0 || rightId < 0 || result < 0) {
            return "merge " + rank + " names a piece outside the vocabulary: " + left + " " + right;
        }
        table.put(leftId, rightId, rank++, result);
        return null;
    }

    MergeTable table() {
        return table;
    }
}
