package dev.quire.kvcache;

/**
 * Size of a KV cache.
 *
 * @param blocks blocks in the pool
 * @param blockTokens positions in a block, a multiple of 16
 */
public record KvConfig(int blocks, int blockTokens) {
    public KvConfig {
        if (blocks < 1) {
            throw new IllegalArgumentException("blocks is " + blocks + ", at least 1 is needed");
        }
        if (blockTokens < 16 || blockTokens % 16 != 0) {
            throw new IllegalArgumentException("blockTokens is " + blockTokens + ", allowed are multiples of 16");
        }
    }
}
