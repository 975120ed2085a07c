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
 *
 * <p>With a host tier, a cached block that is taken for something else moves to a block of the host, and {@link #fetch}
 * brings it back. The moves are {@link #swaps}: the next step that is launched makes all of them, whichever plan they come
 * from, and {@link #swapped} follows.
 */
public final class KvCache {
    private final int blockTokens;
    private final boolean prefixCaching;
    private final BlockPool pool;
    /** Blocks of the host; never in a table, so references are pins of pending swaps. */
    private final BlockPool host;
    /** Of device blocks, and behind them of host blocks. */
    private final PrefixIndex index;

    private long queriedTokens;
    private long hitTokens;
    private long evictions;
    private final BlockSwaps swaps = new BlockSwaps();

    /**
     * @param blocks in the pool
     * @param blockTokens positions in a block
     * @param prefixCaching whether blocks can be found again by their tokens
     * @param seed keys the hash of the prefix index; results do not depend on it
     */
    public KvCache(int blocks, int blockTokens, boolean prefixCaching, long seed) {
        this(blocks, 0, blockTokens, prefixCaching, seed);
    }

    /**
     * A cache with a tier below it.
     *
     * @param hostBlocks blocks of the host that cached blocks move to when their place is needed; 0 = none
     */
    public KvCache(int blocks, int hostBlocks, int blockTokens, boolean prefixCaching, long seed) {
        if (blocks <= 0 || hostBlocks < 0 || blockTokens <= 0) {
            throw new IllegalArgumentException("a KV cache of " + blocks + " blocks of " + blockTokens + " tokens");
        }
        this.blockTokens = blockTokens;
        this.prefixCaching = prefixCaching;
        pool = new BlockPool(blocks);
        host = new BlockPool(prefixCaching ? hostBlocks : 0);
        index = new PrefixIndex(prefixCaching ? Math.addExact(blocks, hostBlocks) : 0, blockTokens, seed);
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
     * Gives an empty table the longest prefix that is on the device, never all of it: at least the last token is left to
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
            if (block < 0 || block >= pool.total()) {
                break;
            }
            pool.retain(block);
            table.add(block);
            table.node = index.node(block);
        }
        table.committed = table.size();
        return table.size() * blockTokens;
    }

    /**
     * Goes on behind {@link #attach} with blocks that the host has, and those behind them wherever they are, while there is
     * room on the device and in the step. Only for a table whose sequence has a place: what comes in holds blocks until the
     * next step is launched, wanted or not.
     *
     * @return tokens that need no computing, those of {@link #attach} among them
     */
    public int fetch(BlockTable table, int[] tokens, int length) {
        if (host.total() == 0) {
            return table.size() * blockTokens;
        }
        int full = (length - 1) / blockTokens;
        for (int i = table.size(); i < full; i++) {
            int slot = index.find(table.node, table.salt, tokens, i * blockTokens);
            if (slot < 0) {
                break;
            }
            if (slot < pool.total()) {
                pool.retain(slot);
            } else if (pool.available() > 0 && swaps.roomForIn()) {
                slot = swapIn(slot - pool.total());
            } else {
                break;
            }
            table.add(slot);
            table.node = index.node(slot);
        }
        table.committed = table.size();
        return table.size() * blockTokens;
    }

    /** Moves a host block to the device; the block there, with one reference and the swap's pin. */
    private int swapIn(int hostBlock) {
        // Pinned before room is made: making it may take the oldest host block.
        host.retain(hostBlock);
        host.pin(hostBlock);
        int block = take();
        pool.retain(block);
        pool.pin(block);
        promote(hostBlock, block);
        swaps.addIn(hostBlock, block);
        return block;
    }

    /** Lets a device block be found in the place of a host block. */
    private void promote(int hostBlock, int block) {
        index.move(pool.total() + hostBlock, block);
        host.forget(hostBlock);
        pool.markIndexed(block);
    }

    /** What the next step has to move between device and host before anything else. */
    public BlockSwaps swaps() {
        return swaps;
    }

    /** The swaps have been handed to the device: their blocks may be used again. */
    public void swapped() {
        int[] out = swaps.out();
        for (int i = 0; i < out.length; i += 2) {
            host.unpin(out[i + 1]);
        }
        int[] in = swaps.in();
        for (int i = 0; i < in.length; i += 2) {
            host.unpin(in[i]);
            pool.unpin(in[i + 1]);
        }
        swaps.clear();
    }

    /**
     * Forgets every block whose content depends on a swap that has failed, or is still pending: all of the host's, and those
     * that came or would come from there. Tables that hold one of the latter must be released: see {@link #holdsAny}.
     *
     * @param failedIn pairs (host block, device block) of the step that failed
     * @return the blocks on the device, unordered, maybe repeated
     */
    public int[] forgetSwapped(int[] failedIn) {
        int[] pending = swaps.in();
        swapped();
        int[] lost = new int[(failedIn.length + pending.length) / 2];
        for (int i = 0; i < lost.length; i++) {
            int at = 2 * i + 1;
            lost[i] = at < failedIn.length ? failedIn[at] : pending[at - failedIn.length];
            if (pool.indexed(lost[i])) {
                index.remove(lost[i]);
                pool.forget(lost[i]);
            }
        }
        for (int block = 0; block < host.total(); block++) {
            if (host.indexed(block)) {
                index.remove(pool.total() + block);
                host.forget(block);
            }
        }
        return lost;
    }

    /** Whether a table holds one of some blocks. */
    public static boolean holdsAny(BlockTable table, int[] blocks) {
        for (int i = 0; i < table.size(); i++) {
            for (int block : blocks) {
                if (table.block(i) == block) {
                    return true;
                }
            }
        }
        return false;
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
            if (known >= pool.total()) {
                promote(known - pool.total(), block);
                table.node = index.node(block);
            } else if (known >= 0) {
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
        for (int block = 0; block < host.total(); block++) {
            if (host.references(block) != host.pins(block)) {
                return "host block " + block + " has " + host.references(block) + " references, but " + host.pins(block)
                        + " swaps hold it";
            }
        }
        int faults = pool.listFaults() + host.listFaults();
        if (faults > 0) {
            return faults + " blocks are in the wrong list";
        }
        if (pool.freeCount() + referenced + pool.cachedCount() != pool.total()) {
            return pool.freeCount() + " free + " + referenced + " referenced + " + pool.cachedCount()
                    + " cached is not " + pool.total();
        }
        return null;
    }

    /**
     * Sets every count to what the tables hold: the way on after {@link #check} has found a fault, and {@link #forgetSwapped}
     * has been called.
     */
    public void repair(Collection<BlockTable> tables) {
        host.rebuild(new int[host.total()]);
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
            if (host.available() > 0 && swaps.roomForOut()) {
                swapOut(block);
            } else {
                index.remove(block);
            }
            evictions++;
        }
        return block;
    }

    private void swapOut(int block) {
        int hostBlock = host.takeFree();
        if (hostBlock < 0) {
            hostBlock = host.takeOldest();
            index.remove(pool.total() + hostBlock);
        }
        host.pin(hostBlock);
        index.move(block, pool.total() + hostBlock);
        host.markIndexed(hostBlock);
        swaps.addOut(block, hostBlock);
    }

    private static void requireEmpty(BlockTable table) {
        if (table.size() != 0) {
            throw new IllegalStateException("the table holds " + table.size() + " blocks already");
        }
    }
}
