package dev.quire.kvcache;

import java.util.Collection;
import org.jspecify.annotations.Nullable;

/**
 * Book-keeping of the paged KV cache (Kwon et al. 2023): which block holds which positions of which sequence. Knows ids
 * only, no memory and no device. Owned by the engine thread.
 *
 * <p>A sequence's life: {@link #attach} what an earlier sequence computed, {@link #grow} before each step, {@link
 * #commit} after it, {@link #shrink} where less was needed, {@link #release} at the end or when preempted. Every block is at any time free, referenced or
 * cached, and {@link #check} proves it.
 */
public final class KvCache {
    private final int blockTokens;
    private final boolean prefixCaching;
    private final BlockPool pool;
    private final PrefixIndex index;
    private long queriedTokens;
    private long hitTokens;
    private long evictions;

    /**
     * @param blocks in the pool
     * @param blockTokens positions in a block
     * @param prefixCaching whether blocks can be found again by their tokens
     * @param seed keys the hash of the prefix index; results do not depend on it
     */
    public KvCache(int blocks, int blockTokens, boolean prefixCaching, long seed) {
        if (blocks <= 0 || blockTokens <= 0) {
            throw new IllegalArgumentException("a KV cache of " + blocks + " blocks of " + blockTokens + " tokens");
        }
        this.blockTokens = blockTokens;
        this.prefixCaching = prefixCaching;
        pool = new BlockPool(blocks);
        index = new PrefixIndex(prefixCaching ? blocks : 0, blockTokens, seed);
    }

    /**
     * State of the pool.
     *
     * @param free blocks with nothing in them
     * @param referenced blocks that tables or pending copies hold
     * @param cached unreferenced blocks that a later prompt may hit
     * @param total all blocks
     * @param queriedTokens tokens looked up so far
     * @param hitTokens of them found
     * @param evictions cached blocks taken for something else so far
     */
    public record Stats(
            int free, int referenced, int cached, int total, long queriedTokens, long hitTokens, long evictions) {}

    /** Positions in a block. */
    public int blockTokens() {
        return blockTokens;
    }

    /** Blocks in the pool. */
    public int total() {
        return pool.total();
    }

    /** Blocks that are free or can be made free at once. */
    public int available() {
        return pool.available();
    }

    /** Blocks that {@code tokens} positions need. */
    public int blocksFor(int tokens) {
        return Math.ceilDiv(tokens, blockTokens);
    }

    /**
     * Gives an empty table the longest prefix that is known, never all of it: at least the last token is left to
     * compute.
     *
     * @param tokens the sequence's tokens
     * @param length how many
     * @param salt separates prefix caches; null = shared
     * @return tokens that need no computing
     */
    public int attach(BlockTable table, int[] tokens, int length, @Nullable String salt) {
        requireEmpty(table);
        table.salt = salt;
        if (!prefixCaching) {
            return 0;
        }
        int full = (length - 1) / blockTokens;
        for (int i = 0; i < full; i++) {
            int block = index.find(table.node, salt, tokens, i * blockTokens);
            if (block < 0) {
                break;
            }
            pool.retain(block);
            table.add(block);
            table.node = index.node(block);
        }
        table.committed = table.size();
        return table.size() * blockTokens;
    }

    /** Enters a look-up into the statistics: apart from {@link #attach}, since one may be tried again. */
    public void countLookup(int queriedTokens, int hitTokens) {
        this.queriedTokens += queriedTokens;
        this.hitTokens += hitTokens;
    }

    /**
     * Makes positions {@code [from, to)} of a table writable: appends blocks, and replaces a block that others hold too
     * by a copy of its own.
     *
     * @param copies receives what must be copied before the positions are written
     * @return false when there are not enough blocks; nothing has changed then
     */
    public boolean grow(BlockTable table, int from, int to, BlockCopies copies) {
        int first = from / blockTokens;
        if (first < table.committed || first > table.size()) {
            throw new IllegalStateException(
                    "position " + from + " of " + table.size() + " blocks, " + table.committed + " full");
        }
        int wanted = Math.max(table.size(), blocksFor(to));
        int shared = 0;
        for (int i = first; i < table.size(); i++) {
            shared += isShared(table.block(i)) ? 1 : 0;
        }
        if (wanted - table.size() + shared > pool.available()) {
            return false;
        }
        for (int i = first; i < table.size() && shared > 0; i++) {
            int block = table.block(i);
            if (isShared(block)) {
                int own = take();
                table.set(i, own);
                pool.pin(block);
                copies.add(block, own);
                shared--;
            }
        }
        while (table.size() < wanted) {
            table.add(take());
        }
        return true;
    }

    /** Gives back the blocks behind those that {@code tokens} positions need. */
    public void shrink(BlockTable table, int tokens) {
        int kept = Math.max(table.committed, blocksFor(tokens));
        while (table.size() > kept) {
            pool.release(table.removeLast());
        }
    }

    /** The copies have been handed to the device: their sources may be used again. */
    public void copied(BlockCopies copies) {
        for (int i = 0; i < copies.sources(); i++) {
            pool.unpin(copies.source(i));
        }
        copies.clear();
    }

    /**
     * Makes the full blocks of a table findable.
     *
     * @param computed positions whose keys and values are in the cache
     */
    public void commit(BlockTable table, int[] tokens, int computed) {
        if (!prefixCaching) {
            return;
        }
        int full = computed / blockTokens;
        while (table.committed < full) {
            int from = table.committed * blockTokens;
            int block = table.block(table.committed);
            // A forked table's block may have been indexed by the other, below another equal of its parent.
            int known = pool.indexed(block) ? block : index.find(table.node, table.salt, tokens, from);
            if (known >= 0) {
                table.node = index.node(known);
            } else {
                table.node = index.put(block, table.node, table.salt, tokens, from);
                pool.markIndexed(block);
            }
            table.committed++;
        }
    }

    /** Gives an empty table all blocks of another, the partly filled last one too. */
    public void fork(BlockTable parent, BlockTable child) {
        requireEmpty(child);
        for (int i = 0; i < parent.size(); i++) {
            pool.retain(parent.block(i));
            child.add(parent.block(i));
        }
        child.committed = parent.committed;
        child.node = parent.node;
        child.salt = parent.salt;
    }

    /** Gives all blocks of a table back; the table is empty then. */
    public void release(BlockTable table) {
        // The tail first: what is taken again first must not be what the others hang on.
        for (int i = table.size() - 1; i >= 0; i--) {
            pool.release(table.block(i));
        }
        table.clear();
    }

    /** State of the pool. */
    public Stats stats() {
        int free = pool.freeCount();
        int cached = pool.cachedCount();
        int total = pool.total();
        return new Stats(free, total - free - cached, cached, total, queriedTokens, hitTokens, evictions);
    }

    /**
     * Checks that free + referenced + cached = total and that the reference counts are those of the tables.
     *
     * @param tables all that exist
     * @return null, or what is wrong
     */
    public @Nullable String check(Collection<BlockTable> tables) {
        int[] held = held(tables);
        int referenced = 0;
        for (int block = 0; block < held.length; block++) {
            int references = pool.references(block);
            if (references != held[block] + pool.pins(block)) {
                return "block " + block + " has " + references + " references, but " + held[block] + " tables and "
                        + pool.pins(block) + " copies hold it";
            }
            referenced += references > 0 ? 1 : 0;
        }
        int faults = pool.listFaults();
        if (faults > 0) {
            return faults + " blocks are in the wrong list";
        }
        if (pool.freeCount() + referenced + pool.cachedCount() != pool.total()) {
            return pool.freeCount() + " free + " + referenced + " referenced + " + pool.cachedCount()
                    + " cached is not " + pool.total();
        }
        return null;
    }

    /** Sets every count to what the tables hold: the way on after {@link #check} has found a fault. */
    public void repair(Collection<BlockTable> tables) {
        pool.rebuild(held(tables));
    }

    private int[] held(Collection<BlockTable> tables) {
        int[] held = new int[pool.total()];
        for (BlockTable table : tables) {
            for (int i = 0; i < table.size(); i++) {
                held[table.block(i)]++;
            }
        }
        return held;
    }

    private boolean isShared(int block) {
        return pool.references(block) - pool.pins(block) > 1;
    }

    private int take() {
        int block = pool.takeFree();
        if (block < 0) {
            block = pool.takeOldest();
            index.remove(block);
            evictions++;
        }
        return block;
    }

    private static void requireEmpty(BlockTable table) {
        if (table.size() != 0) {
            throw new IllegalStateException("the table holds " + table.size() + " blocks already");
        }
    }
}
