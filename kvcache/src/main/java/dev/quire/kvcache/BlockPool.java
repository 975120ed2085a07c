package dev.quire.kvcache;

import java.util.Arrays;

/**
 * Which blocks are in use. A block is free, or referenced by tables, or cached: unreferenced, but its content can still
 * be found by the prefix index. Cached blocks are taken again least recently used first. Every operation is O(1).
 */
final class BlockPool {
    private static final int NONE = -1;

    private final int[] references;
    /** References that belong to pending copies; part of {@link #references}. */
    private final int[] pins;

    private final boolean[] indexed;
    private final int[] free;
    private int freeCount;
    // Cached blocks, least recently used first: a doubly linked list through these arrays.
    private final int[] previous;
    private final int[] next;
    private int oldest = NONE;
    private int newest = NONE;
    private int cachedCount;

    BlockPool(int blocks) {
        references = new int[blocks];
        pins = new int[blocks];
        indexed = new boolean[blocks];
        previous = new int[blocks];
        next = new int[blocks];
        free = new int[blocks];
        for (int i = 0; i < blocks; i++) {
            free[i] = blocks - 1 - i;
        }
        freeCount = blocks;
    }

    int total() {
        return references.length;
    }

    int freeCount() {
        return freeCount;
    }

    int cachedCount() {
        return cachedCount;
    }

    /** Blocks that {@link #takeFree} and {@link #takeOldest} can still give. */
    int available() {
        return freeCount + cachedCount;
    }

    int references(int block) {
        return references[block];
    }

    int pins(int block) {
        return pins[block];
    }

    boolean indexed(int block) {
        return indexed[block];
    }

    /** A free block with one reference, or -1 when none is free. */
    int takeFree() {
        if (freeCount == 0) {
            return NONE;
        }
        int block = free[--freeCount];
        references[block] = 1;
        return block;
    }

    /** The least recently used cached block with one reference and no longer indexed, or -1 when none is cached. */
    int takeOldest() {
        int block = oldest;
        if (block != NONE) {
            unlink(block);
            indexed[block] = false;
            references[block] = 1;
        }
        return block;
    }

    /** One more reference; a cached block becomes referenced. */
    void retain(int block) {
        if (references[block]++ == 0) {
            unlink(block);
        }
    }

    /** One reference less; without any the block becomes cached when indexed, else free. */
    void release(int block) {
        if (references[block] <= 0) {
            throw new IllegalStateException("block " + block + " released once too often");
        }
        if (--references[block] == 0) {
            if (indexed[block]) {
                append(block);
            } else {
                free[freeCount++] = block;
            }
        }
    }

    /** Turns a table's reference into one of a pending copy. */
    void pin(int block) {
        pins[block]++;
    }

    void unpin(int block) {
        pins[block]--;
        release(block);
    }

    /** The block's content can be found from now on. */
    void markIndexed(int block) {
        indexed[block] = true;
    }

    /** The block's content is not to be found any more; a cached block becomes free. */
    void forget(int block) {
        indexed[block] = false;
        if (references[block] == 0) {
            unlink(block);
            free[freeCount++] = block;
        }
    }

    /** Sets every count to what the tables hold: {@code held[block]} references. Pending copies are forgotten. */
    void rebuild(int[] held) {
        freeCount = 0;
        cachedCount = 0;
        oldest = NONE;
        newest = NONE;
        Arrays.fill(pins, 0);
        for (int block = references.length - 1; block >= 0; block--) {
            references[block] = held[block];
            if (held[block] == 0) {
                if (indexed[block]) {
                    append(block);
                } else {
                    free[freeCount++] = block;
                }
            }
        }
    }

    private void append(int block) {
        previous[block] = newest;
        next[block] = NONE;
        if (newest == NONE) {
            oldest = block;
        } else {
            next[newest] = block;
        }
        newest = block;
        cachedCount++;
    }

    private void unlink(int block) {
        int before = previous[block];
        int after = next[block];
        if (before == NONE) {
            oldest = after;
        } else {
            next[before] = after;
        }
        if (after == NONE) {
            newest = before;
        } else {
            previous[after] = before;
        }
        cachedCount--;
    }

    /** Number of blocks in the two lists that the counts disagree with; 0 when all is well. */
    int listFaults() {
        boolean[] seen = new boolean[references.length];
        int faults = 0;
        for (int i = 0; i < freeCount; i++) {
            faults += seen[free[i]] || references[free[i]] != 0 || indexed[free[i]] ? 1 : 0;
            seen[free[i]] = true;
        }
        int cached = 0;
        for (int block = oldest; block != NONE && cached <= references.length; block = next[block]) {
            faults += seen[block] || references[block] != 0 || !indexed[block] ? 1 : 0;
            seen[block] = true;
            cached++;
        }
        return faults + Math.abs(cached - cachedCount);
    }
}
