package dev.quire.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Checks a step's numbers against the program's limits before any kernel sees them. A few comparisons per token and per
 * block table entry; nothing is allocated unless something is wrong.
 */
final class StepCheck {
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

    private StepCheck() {}

    /** @throws IllegalArgumentException saying what was seen and what is allowed */
    static void check(Step step, ProgramLimits limits) {
        buffers(limits);
        atMost("tokens", step.tokenCount(), limits.tokens);
        atMost("rows of logits", step.logitsCount(), limits.logits);
        tokens(step, limits);
        sequences(step, limits);
        for (int r = 0; r < step.logitsCount(); r++) {
            range("logits row", r, step.logitsRow.getAtIndex(INT, r), step.tokenCount());
        }
        copies(step, limits);
        swaps(step, limits);
        samples(step, limits);
    }

    /** @throws IllegalArgumentException when a token is that of a sample which the step before, of so many, does not have */
    static void carried(Step step, int samples) {
        if (step.mostCarried() >= samples) {
            throw new IllegalArgumentException("a token is carried from sample " + step.mostCarried()
                    + " of the step before, which has " + samples);
        }
    }

    private static void buffers(ProgramLimits limits) {
        for (DeviceBuffer buffer : limits.buffers) {
            if (buffer.closed()) {
                throw new IllegalArgumentException("the program uses buffer '" + buffer.label() + "', which is closed");
            }
        }
    }

    private static void tokens(Step step, ProgramLimits limits) {
        long slots = limits.stores ? (long) limits.blocks * limits.blockTokens : Integer.MAX_VALUE;
        for (int t = 0; t < step.tokenCount(); t++) {
            range("token", t, step.tokens.getAtIndex(INT, t), limits.vocab);
            range("position", t, step.positions.getAtIndex(INT, t), limits.positions);
            int slot = step.slots.getAtIndex(INT, t);
            if (slot != -1) {
                range("slot", t, slot, slots);
            }
        }
    }

    private static void sequences(Step step, ProgramLimits limits) {
        if (!limits.attends) {
            return;
        }
        int covered = step.sequenceCount() == 0 ? 0 : step.tokenCount() - step.queryStart.getAtIndex(INT, 0);
        if (covered != step.tokenCount()) {
            throw new IllegalArgumentException("tokens before the first sequence, allowed: none");
        }
        for (int b = 0; b < step.sequenceCount(); b++) {
            int begin = step.queryStart.getAtIndex(INT, b);
            int end = step.queryStart.getAtIndex(INT, b + 1);
            for (int t = begin + 1; t < end; t++) {
                int expected = step.positions.getAtIndex(INT, t - 1) + 1;
                int seen = step.positions.getAtIndex(INT, t);
                if (seen != expected) {
                    throw bad("position", t, seen, expected + ", the next of its sequence");
                }
            }
            blocks(step, limits, b, end == begin ? 0 : step.positions.getAtIndex(INT, end - 1) + 1L);
        }
    }

    private static void blocks(Step step, ProgramLimits limits, int sequence, long context) {
        int blocks = step.blockCount(sequence);
        if (context > (long) blocks * limits.blockTokens) {
            throw bad("context of sequence", sequence, context, blocks + " blocks of " + limits.blockTokens);
        }
        long row = (long) sequence * step.limits().blocksPerSequence();
        for (int i = 0; i < blocks; i++) {
            range("block of sequence", sequence, step.blockTable.getAtIndex(INT, row + i), limits.blocks);
        }
    }

    private static void copies(Step step, ProgramLimits limits) {
        for (int i = 0; i < 2 * step.copyCount(); i++) {
            range("copied block", i / 2, step.copies.getAtIndex(INT, i), limits.copyBlocks);
        }
    }

    private static void swaps(Step step, ProgramLimits limits) {
        for (int i = 0; i < step.swapOutCount(); i++) {
            range("block swapped out", i, step.swapsOut.getAtIndex(INT, 2L * i), limits.swapBlocks);
            range("host block swapped out to", i, step.swapsOut.getAtIndex(INT, 2L * i + 1), limits.hostBlocks);
        }
        for (int i = 0; i < step.swapInCount(); i++) {
            range("host block swapped in", i, step.swapsIn.getAtIndex(INT, 2L * i), limits.hostBlocks);
            range("block swapped in to", i, step.swapsIn.getAtIndex(INT, 2L * i + 1), limits.swapBlocks);
        }
    }

    private static void samples(Step step, ProgramLimits limits) {
        int vocab = limits.sampleVocab;
        for (int s = 0; s < step.sampleCount(); s++) {
            sample(step.samples, s, step.logitsCount(), vocab);
        }
        for (int i = 0; i < step.biasCount(); i++) {
            range("bias token", i, step.biasToken.getAtIndex(INT, i), vocab);
            float value = step.biasValue.getAtIndex(FLOAT, i);
            if (!(value < Float.POSITIVE_INFINITY)) {
                throw bad("bias value", i, value, "finite or negative infinity");
            }
        }
        for (int i = 0; i < step.countCount(); i++) {
            range("counted token", i, step.countToken.getAtIndex(INT, i), vocab);
            range("count", i, step.countOutput.getAtIndex(INT, i), Integer.MAX_VALUE);
        }
    }

    private static void sample(MemorySegment samples, int s, int rows, int vocab) {
        long at = (long) s * Step.SAMPLE_BYTES;
        range("row of sample", s, samples.get(INT, at + Step.SAMPLE_ROW), rows);
        int target = samples.get(INT, at + Step.SAMPLE_TARGET);
        if (target != -1 || vocab == 0) {
            range("target of sample", s, target, vocab);
        }
        number("temperature", s, samples.get(FLOAT, at + Step.SAMPLE_TEMPERATURE), 0, Float.MAX_VALUE);
        number("top_p", s, samples.get(FLOAT, at + Step.SAMPLE_TOP_P), Float.MIN_VALUE, 1);
        number("min_p", s, samples.get(FLOAT, at + Step.SAMPLE_MIN_P), 0, 1);
        range("top_k of sample", s, samples.get(INT, at + Step.SAMPLE_TOP_K), Integer.MAX_VALUE);
        long repetition = at + Step.SAMPLE_REPETITION;
        number("repetition", s, samples.get(FLOAT, repetition), Float.MIN_VALUE, Float.MAX_VALUE);
        number("presence", s, samples.get(FLOAT, repetition + 4), -Float.MAX_VALUE, Float.MAX_VALUE);
        number("frequency", s, samples.get(FLOAT, repetition + 8), -Float.MAX_VALUE, Float.MAX_VALUE);
        int logprobs = samples.get(INT, at + Step.SAMPLE_LOGPROBS);
        if (logprobs < -1 || logprobs > Step.MAX_LOGPROBS) {
            throw bad("logprobs of sample", s, logprobs, "-1 to " + Step.MAX_LOGPROBS);
        }
    }

    private static void number(String name, int index, float seen, float least, float most) {
        if (!(seen >= least && seen <= most)) {
            throw bad(name + " of sample", index, seen, least + " to " + most);
        }
    }

    private static void atMost(String name, int seen, int most) {
        if (seen > most) {
            throw new IllegalArgumentException(seen + " " + name + ", allowed: at most " + most);
        }
    }

    private static void range(String name, int index, int seen, long end) {
        if (seen < 0 || seen >= end) {
            throw bad(name, index, seen, end > 0 ? "0 to " + (end - 1) : "none by this program");
        }
    }

    private static IllegalArgumentException bad(String name, int index, Number seen, String allowed) {
        return new IllegalArgumentException(name + " " + index + " is " + seen + ", allowed: " + allowed);
    }
}
