package dev.quire.kernels;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * The inputs and outputs of one step, in host memory laid out as quire.h's {@code QrStep} and its arrays. Written by the
 * engine thread between runs and reused; nothing is allocated per step. Fill order: {@link #clear}, then for each
 * sequence {@link #beginSequence}, its {@link #block}s, its {@link #token}s, {@link #logits} and {@link #sample}s.
 *
 * <p>Capacities are checked on every write: an overflow is an {@link IndexOutOfBoundsException} here and never reaches
 * native code. Ranges that depend on the model (token ids, positions, slots) are checked by {@link Backend#submit}.
 */
public final class Step implements AutoCloseable {
    /** Entries kept for the best alternatives of a sample. */
    public static final int MAX_LOGPROBS = 20;

    /**
     * Capacities of a step.
     *
     * @param tokens T, the most tokens in one step
     * @param sequences B
     * @param blocksPerSequence entries in a row of the block table
     * @param logits R, the most rows of logits
     * @param samples S
     * @param extras the most entries of all biases, and of all counts, together
     * @param swaps the most blocks swapped out, and as many swapped in
     */
    public record Limits(
            int tokens, int sequences, int blocksPerSequence, int logits, int samples, int extras, int swaps) {
        /** Of a step that swaps nothing. */
        public Limits(int tokens, int sequences, int blocksPerSequence, int logits, int samples, int extras) {
            this(tokens, sequences, blocksPerSequence, logits, samples, extras, 0);
        }
    }

    /** What one sample asks for; the fields of quire.h's {@code QrSampleRow} that are not filled in by the step. */
    public record SampleSpec(
            float temperature,
            float topP,
            float minP,
            int topK,
            float repetition,
            float presence,
            float frequency,
            int logprobs,
            long seed,
            int stream) {}

    private static final int NOT_CARRIED = -1;

    static final int SAMPLE_BYTES = 72;
    static final int SAMPLE_ROW = 0;
    static final int SAMPLE_TARGET = 4;
    static final int SAMPLE_TEMPERATURE = 8;
    static final int SAMPLE_TOP_P = 12;
    static final int SAMPLE_MIN_P = 16;
    static final int SAMPLE_TOP_K = 20;
    static final int SAMPLE_REPETITION = 24; // then presence, frequency
    static final int SAMPLE_LOGPROBS = 36;
    static final int SAMPLE_SEED = 40;
    static final int SAMPLE_POSITION = 48;
    static final int SAMPLE_STREAM = 52;
    static final int SAMPLE_BIAS = 56; // begin, end
    static final int SAMPLE_COUNT = 64; // begin, end
    static final int ARRAYS = 40; // behind the counts
    static final int STRUCT_BYTES = ARRAYS + 20 * 8;

    private final Arena arena = Arena.ofShared();
    private final Limits limits;
    private final MemorySegment struct;
    final MemorySegment tokens;
    final MemorySegment carry;
    final MemorySegment positions;
    final MemorySegment slots;
    final MemorySegment queryStart;
    final MemorySegment blockTable;
    final MemorySegment logitsRow;
    final MemorySegment copies;
    final MemorySegment swapsOut;
    final MemorySegment swapsIn;
    final MemorySegment samples;
    final MemorySegment biasToken;
    final MemorySegment biasValue;
    final MemorySegment countToken;
    final MemorySegment countOutput;
    final MemorySegment outToken;
    final MemorySegment outLogprob;
    final MemorySegment outTopToken;
    final MemorySegment outTopLogprob;
    final MemorySegment outNanos;

    private int nTokens;
    private int nCarried;
    private int mostCarried = NOT_CARRIED;
    private int nSequences;
    private int nLogits;
    private int nSamples;
    private int nCopies;
    private int nSwapsOut;
    private int nSwapsIn;
    private int nBias;
    private int nCounts;
    private final int[] blockCounts;
    private boolean running;

    public Step(Limits limits) {
        this.limits = limits;
        blockCounts = new int[limits.sequences];
        tokens = ints(limits.tokens);
        carry = ints(limits.tokens);
        positions = ints(limits.tokens);
        slots = ints(limits.tokens);
        queryStart = ints(limits.sequences + 1L);
        blockTable = ints((long) limits.sequences * limits.blocksPerSequence);
        logitsRow = ints(limits.logits);
        copies = ints(2L * limits.sequences);
        swapsOut = ints(2L * limits.swaps);
        swapsIn = ints(2L * limits.swaps);
        samples = arena.allocate((long) SAMPLE_BYTES * Math.max(1, limits.samples), 64);
        biasToken = ints(limits.extras);
        biasValue = ints(limits.extras);
        countToken = ints(limits.extras);
        countOutput = ints(limits.extras);
        outToken = ints(limits.samples);
        outLogprob = ints(limits.samples);
        outTopToken = ints((long) limits.samples * MAX_LOGPROBS);
        outTopLogprob = ints((long) limits.samples * MAX_LOGPROBS);
        outNanos = arena.allocate(ValueLayout.JAVA_LONG);
        struct = arena.allocate(STRUCT_BYTES, 64);
        struct.set(ValueLayout.JAVA_INT, 0, STRUCT_BYTES);
        struct.set(ValueLayout.JAVA_INT, 24, limits.blocksPerSequence);
        MemorySegment[] arrays = {
            tokens,
            carry,
            positions,
            slots,
            queryStart,
            blockTable,
            logitsRow,
            copies,
            swapsOut,
            swapsIn,
            samples,
            biasToken,
            biasValue,
            countToken,
            countOutput,
            outToken,
            outLogprob,
            outTopToken,
            outTopLogprob,
            outNanos
        };
        for (int i = 0; i < arrays.length; i++) {
            struct.set(ValueLayout.JAVA_LONG, ARRAYS + 8L * i, arrays[i].address());
        }
    }

    private MemorySegment ints(long n) {
        return arena.allocate(Integer.BYTES * Math.max(1, n), 64);
    }

    /** Forgets everything of the step before. @throws IllegalStateException while a program runs on this step */
    public void clear() {
        requireIdle();
        nTokens = 0;
        nCarried = 0;
        mostCarried = -1;
        nSequences = 0;
        nLogits = 0;
        nSamples = 0;
        nCopies = 0;
        nSwapsOut = 0;
        nSwapsIn = 0;
        nBias = 0;
        nCounts = 0;
    }

    /**
     * Becomes the same step without samples, for a rank that draws nothing.
     *
     * @throws IllegalArgumentException when the other has other limits
     */
    public void copyUnsampled(Step other) {
        if (!limits.equals(other.limits)) {
            throw new IllegalArgumentException("a step of " + limits + " cannot be one of " + other.limits);
        }
        clear();
        nTokens = other.nTokens;
        nSequences = other.nSequences;
        nLogits = other.nLogits;
        nCopies = other.nCopies;
        nSwapsOut = other.nSwapsOut;
        nSwapsIn = other.nSwapsIn;
        copyInts(other.tokens, tokens, nTokens);
        copyInts(other.positions, positions, nTokens);
        copyInts(other.slots, slots, nTokens);
        copyInts(other.queryStart, queryStart, nSequences + 1L);
        copyInts(other.blockTable, blockTable, (long) nSequences * limits.blocksPerSequence);
        copyInts(other.logitsRow, logitsRow, nLogits);
        copyInts(other.copies, copies, 2L * nCopies);
        copyInts(other.swapsOut, swapsOut, 2L * nSwapsOut);
        copyInts(other.swapsIn, swapsIn, 2L * nSwapsIn);
        System.arraycopy(other.blockCounts, 0, blockCounts, 0, nSequences);
    }

    private static void copyInts(MemorySegment from, MemorySegment to, long n) {
        MemorySegment.copy(from, 0, to, 0, n * Integer.BYTES);
    }

    /** Moves a block to the host before anything else of the step happens. */
    public void swapOut(int block, int hostBlock) {
        pair(swapsOut, nSwapsOut, block, hostBlock);
        nSwapsOut++;
    }

    /** Moves a block from the host, after those that are swapped out. */
    public void swapIn(int hostBlock, int block) {
        pair(swapsIn, nSwapsIn, hostBlock, block);
        nSwapsIn++;
    }

    private void pair(MemorySegment pairs, int used, int from, int to) {
        if (used >= limits.swaps) {
            throw new IndexOutOfBoundsException("a step swaps at most " + limits.swaps + " blocks each way");
        }
        pairs.setAtIndex(ValueLayout.JAVA_INT, 2L * used, from);
        pairs.setAtIndex(ValueLayout.JAVA_INT, 2L * used + 1, to);
    }

    /** Copies block {@code source} to block {@code destination} after the swaps and before all computation. */
    public void copyBlock(int source, int destination) {
        copies.setAtIndex(ValueLayout.JAVA_INT, 2L * nCopies, source);
        copies.setAtIndex(ValueLayout.JAVA_INT, 2L * nCopies + 1, destination);
        nCopies++;
    }

    /** Begins the next sequence; tokens, blocks and samples that follow belong to it. */
    public void beginSequence() {
        if (nSequences >= limits.sequences) {
            throw new IndexOutOfBoundsException("a step holds at most " + limits.sequences + " sequences");
        }
        queryStart.setAtIndex(ValueLayout.JAVA_INT, nSequences, nTokens);
        nSequences++;
        queryStart.setAtIndex(ValueLayout.JAVA_INT, nSequences, nTokens);
        blockCounts[nSequences - 1] = 0;
    }

    /** Appends a block to the current sequence's block table. */
    public void block(int id) {
        int sequence = nSequences - 1;
        int used = blockCounts[sequence];
        if (used >= limits.blocksPerSequence) {
            throw new IndexOutOfBoundsException("a sequence holds at most " + limits.blocksPerSequence + " blocks");
        }
        blockTable.setAtIndex(ValueLayout.JAVA_INT, (long) sequence * limits.blocksPerSequence + used, id);
        blockCounts[sequence] = used + 1;
    }

    /**
     * Appends a token to compute to the current sequence.
     *
     * @param slot {@code block * blockTokens + offset} where its key and value go
     */
    public void token(int id, int position, int slot) {
        append(id, NOT_CARRIED, position, slot);
    }

    /**
     * Appends a token that the step submitted before this one draws, to the current sequence.
     *
     * @param sample of that step
     * @param slot as in {@link #token}
     */
    public void carried(int sample, int position, int slot) {
        append(0, Objects.checkIndex(sample, Integer.MAX_VALUE), position, slot);
        nCarried++;
        mostCarried = Math.max(mostCarried, sample);
    }

    private void append(int id, int sample, int position, int slot) {
        if (nTokens >= limits.tokens) {
            throw new IndexOutOfBoundsException("a step holds at most " + limits.tokens + " tokens");
        }
        tokens.setAtIndex(ValueLayout.JAVA_INT, nTokens, id);
        carry.setAtIndex(ValueLayout.JAVA_INT, nTokens, sample);
        positions.setAtIndex(ValueLayout.JAVA_INT, nTokens, position);
        slots.setAtIndex(ValueLayout.JAVA_INT, nTokens, slot);
        nTokens++;
        queryStart.setAtIndex(ValueLayout.JAVA_INT, nSequences, nTokens);
    }

    /** Asks for the logits of the token appended last; returns their row. */
    public int logits() {
        if (nLogits >= limits.logits) {
            throw new IndexOutOfBoundsException("a step holds at most " + limits.logits + " rows of logits");
        }
        logitsRow.setAtIndex(ValueLayout.JAVA_INT, nLogits, nTokens - 1);
        return nLogits++;
    }

    /**
     * Adds a sample of a row of logits; returns its index in the outputs. Biases and counts added afterwards belong to it.
     *
     * @param target -1 to draw, or the token to score
     * @param position position of the token to be drawn: the counter of its random number
     */
    public int sample(int row, int target, int position, SampleSpec spec) {
        if (nSamples >= limits.samples) {
            throw new IndexOutOfBoundsException("a step holds at most " + limits.samples + " samples");
        }
        long at = (long) nSamples * SAMPLE_BYTES;
        samples.set(ValueLayout.JAVA_INT, at + SAMPLE_ROW, row);
        samples.set(ValueLayout.JAVA_INT, at + SAMPLE_TARGET, target);
        samples.set(ValueLayout.JAVA_FLOAT, at + SAMPLE_TEMPERATURE, spec.temperature);
        samples.set(ValueLayout.JAVA_FLOAT, at + SAMPLE_TOP_P, spec.topP);
        samples.set(ValueLayout.JAVA_FLOAT, at + SAMPLE_MIN_P, spec.minP);
        samples.set(ValueLayout.JAVA_INT, at + SAMPLE_TOP_K, spec.topK);
        samples.set(ValueLayout.JAVA_FLOAT, at + SAMPLE_REPETITION, spec.repetition);
        samples.set(ValueLayout.JAVA_FLOAT, at + SAMPLE_REPETITION + 4, spec.presence);
        samples.set(ValueLayout.JAVA_FLOAT, at + SAMPLE_REPETITION + 8, spec.frequency);
        samples.set(ValueLayout.JAVA_INT, at + SAMPLE_LOGPROBS, spec.logprobs);
        samples.set(ValueLayout.JAVA_LONG, at + SAMPLE_SEED, spec.seed);
        samples.set(ValueLayout.JAVA_INT, at + SAMPLE_POSITION, position);
        samples.set(ValueLayout.JAVA_INT, at + SAMPLE_STREAM, spec.stream);
        samples.set(ValueLayout.JAVA_INT, at + SAMPLE_BIAS, nBias);
        samples.set(ValueLayout.JAVA_INT, at + SAMPLE_BIAS + 4, nBias);
        samples.set(ValueLayout.JAVA_INT, at + SAMPLE_COUNT, nCounts);
        samples.set(ValueLayout.JAVA_INT, at + SAMPLE_COUNT + 4, nCounts);
        return nSamples++;
    }

    /** Adds {@code value} to a token's logit for the last sample; negative infinity forbids it. */
    public void bias(int token, float value) {
        checkExtras(nBias);
        biasToken.setAtIndex(ValueLayout.JAVA_INT, nBias, token);
        biasValue.setAtIndex(ValueLayout.JAVA_FLOAT, nBias, value);
        nBias++;
        samples.set(ValueLayout.JAVA_INT, (nSamples - 1L) * SAMPLE_BYTES + SAMPLE_BIAS + 4, nBias);
    }

    /** Says that the last sample's sequence holds a token, {@code outputs} times in its output. */
    public void count(int token, int outputs) {
        checkExtras(nCounts);
        countToken.setAtIndex(ValueLayout.JAVA_INT, nCounts, token);
        countOutput.setAtIndex(ValueLayout.JAVA_INT, nCounts, outputs);
        nCounts++;
        samples.set(ValueLayout.JAVA_INT, (nSamples - 1L) * SAMPLE_BYTES + SAMPLE_COUNT + 4, nCounts);
    }

    private void checkExtras(int used) {
        if (used >= limits.extras) {
            throw new IndexOutOfBoundsException("a step holds at most " + limits.extras + " biases and counts");
        }
    }

    /** Writes the counts into the struct; called by the backend before it runs the step. */
    MemorySegment seal() {
        struct.set(ValueLayout.JAVA_INT, 4, nTokens);
        struct.set(ValueLayout.JAVA_INT, 8, nSequences);
        struct.set(ValueLayout.JAVA_INT, 12, nLogits);
        struct.set(ValueLayout.JAVA_INT, 16, nSamples);
        struct.set(ValueLayout.JAVA_INT, 20, nCopies);
        struct.set(ValueLayout.JAVA_INT, 28, nSwapsOut);
        struct.set(ValueLayout.JAVA_INT, 32, nSwapsIn);
        struct.set(ValueLayout.JAVA_INT, 36, nCarried);
        return struct;
    }

    /** Set by the backend while its threads may read or write the arrays. */
    void running(boolean now) {
        running = now;
    }

    private void requireIdle() {
        if (running) {
            throw new IllegalStateException("a program is running on this step");
        }
    }

    /** The last sample of the step before that a token is carried from; -1: none is. */
    int mostCarried() {
        return mostCarried;
    }

    /** Entries of the block table that sequence {@code index} has. */
    int blockCount(int index) {
        return blockCounts[index];
    }

    /** Entries of all biases so far. */
    int biasCount() {
        return nBias;
    }

    /** Entries of all counts so far. */
    int countCount() {
        return nCounts;
    }

    public Limits limits() {
        return limits;
    }

    /** T, tokens so far. */
    public int tokenCount() {
        return nTokens;
    }

    /** B, sequences so far. */
    public int sequenceCount() {
        return nSequences;
    }

    /** R, rows of logits so far. */
    public int logitsCount() {
        return nLogits;
    }

    /** S, samples so far. */
    public int sampleCount() {
        return nSamples;
    }

    /** Pairs of blocks to copy so far. */
    public int copyCount() {
        return nCopies;
    }

    /** Blocks to swap out so far. */
    public int swapOutCount() {
        return nSwapsOut;
    }

    /** Blocks to swap in so far. */
    public int swapInCount() {
        return nSwapsIn;
    }

    /** The token of a sample, or -1 when its logits were not finite. Valid after the step has run. */
    public int sampledToken(int sample) {
        return outToken.getAtIndex(ValueLayout.JAVA_INT, sample);
    }

    /** Raw log-probability of a sample's token, in nats; 0 when not asked for. */
    public float logprob(int sample) {
        return outLogprob.getAtIndex(ValueLayout.JAVA_FLOAT, sample);
    }

    /** The i-th best token of a sample. */
    public int topToken(int sample, int i) {
        return outTopToken.getAtIndex(ValueLayout.JAVA_INT, (long) sample * MAX_LOGPROBS + i);
    }

    /** Raw log-probability of the i-th best token of a sample. */
    public float topLogprob(int sample, int i) {
        return outTopLogprob.getAtIndex(ValueLayout.JAVA_FLOAT, (long) sample * MAX_LOGPROBS + i);
    }

    /** Nanoseconds in which the device was at work on the step. Valid after the step has run. */
    public long deviceNanos() {
        return outNanos.get(ValueLayout.JAVA_LONG, 0);
    }

    /** Frees the arrays. @throws IllegalStateException while a program runs on this step */
    @Override
    public void close() {
        requireIdle();
        arena.close();
    }
}
