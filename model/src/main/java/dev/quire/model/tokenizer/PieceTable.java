package dev.quire.model.tokenizer;

import dev.quire.model.weights.Texts;
import java.util.Arrays;

/**
 * Finds the number of a piece by its bytes: an open-addressed table over the texts, without an object for each. Of equal
 * pieces the first is found, and an empty piece never. Immutable; any thread.
 */
final class PieceTable {
    /** A vocabulary comes nowhere near it, unless its file was made to take ages. */
    private static final int MAX_PROBES = 1000;

    private final Texts pieces;
    private final int[] slots; // number + 1, 0 is free
    private final int mask;

    /** @throws IllegalArgumentException when many pieces were chosen to have one place in the table */
    PieceTable(Texts pieces) {
        this.pieces = pieces;
        int capacity = Integer.highestOneBit(Math.max(8, pieces.size())) * 4;
        slots = new int[capacity];
        mask = capacity - 1;
        byte[] bytes = pieces.bytes();
        for (int id = 0; id < pieces.size(); id++) {
            int from = pieces.start(id);
            int to = pieces.end(id);
            if (from < to) {
                int slot = slot(hash(0, bytes, from, to), bytes, from, to, to);
                slots[slot] = slots[slot] == 0 ? id + 1 : slots[slot];
            }
        }
    }

    /** A hash that goes on where that of the bytes before ended. */
    static int hash(int before, byte[] bytes, int from, int to) {
        int hash = before;
        for (int i = from; i < to; i++) {
            hash = hash * 31 + bytes[i];
        }
        return hash;
    }

    /** Number of the piece bytes[from, to), or -1. */
    int find(byte[] bytes, int from, int to) {
        return slots[slot(hash(0, bytes, from, to), bytes, from, to, to)] - 1;
    }

    /** Number of the piece bytes[from, gap) + bytes[gap + 1, to), or -1: two pieces with a byte between. */
    int findJoined(byte[] bytes, int from, int gap, int to) {
        int hash = hash(hash(0, bytes, from, gap), bytes, gap + 1, to);
        return slots[slot(hash, bytes, from, gap, to)] - 1;
    }

    private int slot(int hash, byte[] bytes, int from, int gap, int to) {
        int first = (hash * 0x9E3779B9) >>> 7 & mask;
        int slot = first;
        while (slots[slot] != 0 && !holds(slots[slot] - 1, bytes, from, gap, to)) {
            slot = slot + 1 & mask;
            if ((slot - first & mask) > MAX_PROBES) {
                throw new IllegalArgumentException("the pieces of the vocabulary are chosen to collide");
            }
        }
        return slot;
    }

    private boolean holds(int id, byte[] bytes, int from, int gap, int to) {
        int start = pieces.start(id);
        int middle = start + gap - from;
        int rest = gap == to ? to : gap + 1;
        return pieces.end(id) - middle == to - rest && same(start, bytes, from, gap) && same(middle, bytes, rest, to);
    }

    private boolean same(int start, byte[] bytes, int from, int to) {
        return Arrays.equals(pieces.bytes(), start, start + to - from, bytes, from, to);
    }
}
