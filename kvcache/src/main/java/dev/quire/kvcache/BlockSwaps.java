package dev.quire.kvcache;

import java.util.Arrays;

/**
 * The moves of blocks between device and host that the next step makes before anything else: first all that go out, then
 * all that come in. Filled by {@link KvCache}, which keeps the host blocks of all pairs, and the destinations on the device,
 * from other uses until {@link KvCache#swapped}: so the order within a list is free.
 */
public final class BlockSwaps {
    /** The most pairs in each list. */
    public static final int MOST = 256;

    private static final int[] NONE = new int[0];

    private final int[] out = new int[2 * MOST];
    private final int[] in = new int[2 * MOST];
    private int outSize;
    private int inSize;

    /** Pairs (device block, host block), flat. */
    public int[] out() {
        return outSize == 0 ? NONE : Arrays.copyOf(out, outSize);
    }

    /** Pairs (host block, device block), flat. */
    public int[] in() {
        return inSize == 0 ? NONE : Arrays.copyOf(in, inSize);
    }

    /** Whether there are no pairs. */
    public boolean isEmpty() {
        return outSize == 0 && inSize == 0;
    }

    /** Whether blocks are to come in: they hold places on the device until then. */
    public boolean anyIn() {
        return inSize > 0;
    }

    boolean roomForOut() {
        return outSize < out.length;
    }

    boolean roomForIn() {
        return inSize < in.length;
    }

    void addOut(int block, int hostBlock) {
        out[outSize++] = block;
        out[outSize++] = hostBlock;
    }

    void addIn(int hostBlock, int block) {
        in[inSize++] = hostBlock;
        in[inSize++] = block;
    }

    void clear() {
        outSize = 0;
        inSize = 0;
    }
}
