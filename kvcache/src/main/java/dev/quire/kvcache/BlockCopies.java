package dev.quire.kvcache;

import java.util.Arrays;

/**
 * The block copies that must precede a step's computation: copy-on-write. Filled by {@link KvCache#grow}; the sources
 * stay allocated until {@link KvCache#copied}, so that no source of one pair is ever the destination of another and the
 * order of the pairs is free.
 */
public final class BlockCopies {
    private static final int[] NONE = new int[0];

    private int[] pairs = new int[8];
    private int size;

    /** Pairs of block ids (source, destination), flat. */
    public int[] pairs() {
        return size == 0 ? NONE : Arrays.copyOf(pairs, size);
    }

    void add(int source, int destination) {
        if (size == pairs.length) {
            pairs = Arrays.copyOf(pairs, size * 2);
        }
        pairs[size++] = source;
        pairs[size++] = destination;
    }

    int sources() {
        return size / 2;
    }

    int source(int i) {
        return pairs[2 * i];
    }

    void clear() {
        size = 0;
    }
}
