package dev.quire.kvcache;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The blocks that hold one sequence's keys and values, in order of position: position p lives in block
 * {@code block(p / blockTokens)} at offset {@code p % blockTokens}. Changed only by {@link KvCache}; owned by the engine
 * thread.
 */
public final class BlockTable {
    private int[] blocks = new int[8];
    private int size;

    /** Blocks from the front that the prefix index knows, or has an equal of. */
    int committed;
    /** Node of the last committed block in the prefix index. */
    long node = PrefixIndex.ROOT;
    /** Separates prefix caches; null = shared. */
    @Nullable
    String salt;

    /** Number of blocks. */
    public int size() {
        return size;
    }

    /** Id of the i-th block. */
    public int block(int i) {
        if (i >= size) {
            throw new IndexOutOfBoundsException("block " + i + " of " + size);
        }
        return blocks[i];
    }

    void add(int block) {
        if (size == blocks.length) {
            blocks = Arrays.copyOf(blocks, size * 2);
        }
        blocks[size++] = block;
    }

    int removeLast() {
        return blocks[--size];
    }

    void set(int i, int block) {
        blocks[i] = block;
    }

    void clear() {
        size = 0;
        committed = 0;
        node = PrefixIndex.ROOT;
        salt = null;
    }
}
