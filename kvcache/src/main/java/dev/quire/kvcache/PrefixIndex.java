package dev.quire.kvcache;

import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Finds the block that holds given tokens after a given prefix. Each indexed block is a node of a tree: its number is
 * never used twice, its key is (parent's number, its tokens), and at the root the salt too. A key is compared in full on
 * every hit, so two different prefixes can never be taken for each other, however the hash falls; the hash is keyed at
 * random so that nobody can choose prompts that collide. Allocates nothing after construction.
 */
final class PrefixIndex {
    /** The parent of first blocks. */
    static final long ROOT = 0;

    private static final int NONE = -1;

    private final int blockTokens;
    private final long seed;
    private final int[] heads;
    private final int[] chain;
    private final long[] nodes;
    private final long[] parents;
    private final int[] tokens;
    private final @Nullable String[] salts;
    private long lastNode = ROOT;

    PrefixIndex(int blocks, int blockTokens, long seed) {
        this.blockTokens = blockTokens;
        this.seed = seed;
        heads = new int[Integer.highestOneBit(Math.max(1, blocks)) * 2];
        Arrays.fill(heads, NONE);
        chain = new int[blocks];
        nodes = new long[blocks];
        parents = new long[blocks];
        tokens = new int[Math.multiplyExact(blocks, blockTokens)];
        salts = new @Nullable String[blocks];
    }

    /** The block with {@code text[from, from + blockTokens)} after {@code parent}, or -1. */
    int find(long parent, @Nullable String salt, int[] text, int from) {
        for (int block = heads[bucket(parent, salt, text, from)]; block != NONE; block = chain[block]) {
            int at = block * blockTokens;
            if (parents[block] == parent
                    && Arrays.equals(tokens, at, at + blockTokens, text, from, from + blockTokens)
                    && (parent != ROOT || Objects.equals(salts[block], salt))) {
                return block;
            }
        }
        return NONE;
    }

    /** The number of an indexed block. */
    long node(int block) {
        return nodes[block];
    }

    /** Makes a block findable; its number. The caller has checked that no equal one is there. */
    long put(int block, long parent, @Nullable String salt, int[] text, int from) {
        System.arraycopy(text, from, tokens, block * blockTokens, blockTokens);
        parents[block] = parent;
        salts[block] = parent == ROOT ? salt : null;
        nodes[block] = ++lastNode;
        int bucket = bucket(parent, salt, text, from);
        chain[block] = heads[bucket];
        heads[bucket] = block;
        return lastNode;
    }

    /** Forgets a block. */
    void remove(int block) {
        int bucket = bucket(parents[block], salts[block], tokens, block * blockTokens);
        if (heads[bucket] == block) {
            heads[bucket] = chain[block];
        } else {
            int before = heads[bucket];
            while (chain[before] != block) {
                before = chain[before];
            }
            chain[before] = chain[block];
        }
        salts[block] = null;
    }

    /** Lets a free slot take over all that another holds, its number too: what hangs on it stays findable. */
    void move(int from, int to) {
        System.arraycopy(tokens, from * blockTokens, tokens, to * blockTokens, blockTokens);
        parents[to] = parents[from];
        salts[to] = salts[from];
        nodes[to] = nodes[from];
        int bucket = bucket(parents[to], salts[to], tokens, to * blockTokens);
        remove(from);
        chain[to] = heads[bucket];
        heads[bucket] = to;
    }

    private int bucket(long parent, @Nullable String salt, int[] text, int from) {
        long hash = mix(seed ^ parent);
        if (parent == ROOT && salt != null) {
            hash = mix(hash ^ salt.hashCode());
        }
        for (int i = from; i < from + blockTokens; i++) {
            hash = mix(hash ^ text[i]);
        }
        return (int) (hash >>> 32) & heads.length - 1;
    }

    private static long mix(long x) {
        long high = x * 0x9E3779B97F4A7C15L;
        return (high ^ high >>> 29) * 0xBF58476D1CE4E5B9L;
    }
}
