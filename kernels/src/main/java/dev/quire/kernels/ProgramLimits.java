package dev.quire.kernels;

import java.util.LinkedHashSet;
import java.util.Set;

/**
 * What a step may ask of one program: the smallest capacity over the program's operands. Filled by {@link ProgramCheck},
 * not changed afterwards. A capacity that no operation sets stays at {@link Integer#MAX_VALUE}.
 */
final class ProgramLimits {
    /** T. */
    int tokens = Integer.MAX_VALUE;

    /** R. */
    int logits = Integer.MAX_VALUE;

    /** Above every token id. */
    int vocab = Integer.MAX_VALUE;

    /** Above every position. */
    int positions = Integer.MAX_VALUE;

    /** Blocks of the smallest cache layer. */
    int blocks = Integer.MAX_VALUE;

    /** Positions in a block; 0 when the program has no cache. */
    int blockTokens;

    /** Above every sampled, biased or counted token; 0 when nothing samples. */
    int sampleVocab;

    /** Blocks of the smallest region that is copied in; 0 when nothing copies. */
    long copyBlocks;

    /** Bytes of a block that is copied; 0 when nothing copies. */
    long copyBytes;

    /** Blocks of the smallest region, and of the smallest host memory, that is swapped; 0 when nothing swaps. */
    long swapBlocks;

    int hostBlocks;

    /** Whether keys and values are written at the slots. */
    boolean stores;

    /** Whether the block tables are read. */
    boolean attends;

    /** Every buffer that the program reads or writes. */
    final Set<DeviceBuffer> buffers = new LinkedHashSet<>();
}
