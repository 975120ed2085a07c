package dev.quire.model.tokenizer;

import java.util.Arrays;

/** Which two neighbours may become one token, and how early: (left, right) to rank and id. Immutable once filled. */
final class MergeTable {
    /** No such merge; larger than every rank. */
    static final int NONE = Integer.MAX_VALUE;

    private final long[] keys; // -1 is free: ids are not negative
    private final int[] ranks;
    private final int[] results;
    private final int mask;

    /** @param merges how many will be put at most */
    MergeTable(int merges) {
        int capacity = Integer.highestOneBit(Math.max(8, merges)) * 4;
        keys = new long[capacity];
        Arrays.fill(keys, -1);
        ranks = new int[capacity];
        results = new int[capacity];
        mask = capacity - 1;
    }

    /** Adds a merge; a pair put twice has its last rank. */
    void put(int left, int right, int rank, int result) {
        int slot = slot(left, right);
        keys[slot] = key(left, right);
        ranks[slot] = rank;
        results[slot] = result;
    }

    /** Smaller merges earlier; {@link #NONE} when the two do not merge. */
    int rank(int left, int right) {
        int slot = slot(left, right);
        return keys[slot] < 0 ? NONE : ranks[slot];
    }

    /** The token that the two become; they must have a rank. */
    int result(int left, int right) {
        return results[slot(left, right)];
    }

    private int slot(int left, int right) {
        long key = key(left, right);
        long mixed = key * 0x9E3779B97F4A7C15L;
        int slot = (int) (mixed >>> 32) & mask;
        while (keys[slot] >= 0 && keys[slot] != key) {
            slot = slot + 1 & mask;
        }
        return slot;
    }

    private static long key(int left, int right) {
        return (long) left << 32 | right;
    }
}
