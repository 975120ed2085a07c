package dev.quire.kvcache;

/**
 * Size of a KV cache.
 *
 * @param blocks blocks in the pool
 * @param blockTokens positions in a block, a multiple of 16
 * @param hostBlocks blocks in the memory of the host, for what the pool has no room for; 0 = none
 */
public record KvConfig(int blocks, int blockTokens, int hostBlocks) {
    /** A pool without a tier below it. */
    public KvConfig(int blocks, int blockTokens) {
        this(blocks, blockTokens, 0);
    }

    public KvConfig {
        if (blocks < 1) {
            throw new IllegalArgumentException("blocks is " + blocks + ", at least 1 is needed");
        }
        if (hostBlocks < 0) {
            throw new IllegalArgumentException("hostBlocks is " + hostBlocks + ", allowed: 0 or more");
        }
        if (blockTokens < 16 || blockTokens % 16 != 0) {
            throw new IllegalArgumentException("blockTokens is " + blockTokens + ", allowed are multiples of 16");
        }
    }
}
