package dev.quire.model;

import dev.quire.kernels.Backend;
import dev.quire.kernels.Step;
import dev.quire.kernels.Tensor;
import dev.quire.kvcache.BlockSwaps;
import dev.quire.model.sampling.SamplingParams;
import dev.quire.model.sampling.TokenCounts;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Runs batches through a compiled program. Two step buffers take turns, so a step's output can still be read, or the step
 * still be computed, while the next one is filled. Owns the executor and the buffers; the caller owns the backend and the memory behind it.
 */
final class DeviceRunner implements ModelRunner {
    /**
     * What runs a model's steps, and where it leaves the logits.
     *
     * @param backend the device, of several the one that draws
     * @param logits {@code [R, vocab]}, R being {@link #logitsRows}
     */
    record Model(Backend backend, StepExecutor executor, Tensor logits) {}

    private static final int MOST_IN_FLIGHT = 2;
    private static final int NOWHERE = -1;
    private static final Step.SampleSpec GREEDY = new Step.SampleSpec(0, 1, 0, 0, 1, 0, 0, -1, 0, 0);

    private final Model model;
    private final Limits limits;
    private final Slot[] slots;
    private final int queue;
    private int next;
    private int inFlight;

    DeviceRunner(Model model, Limits limits) {
        this.model = model;
        this.limits = limits;
        queue = Math.min(MOST_IN_FLIGHT, model.executor.queue());
        Step.Limits capacity = capacity(limits);
        slots = new Slot[] {new Slot(model.backend.newStep(capacity)), new Slot(model.backend.newStep(capacity))};
    }

    /** Of a step buffer that every batch within the limits fits. */
    static Step.Limits capacity(Limits limits) {
        return new Step.Limits(
                limits.maxTokens(),
                limits.maxSequences(),
                Math.ceilDiv(limits.maxModelLen(), limits.blockTokens()),
                logitsRows(limits),
                limits.maxScores() + limits.maxDraws(),
                limits.maxExtras(),
                limits.hostBlocks() == 0 ? 0 : BlockSwaps.MOST);
    }

    /** Rows of logits that one step may ask for. */
    static int logitsRows(Limits limits) {
        return limits.maxScores() + limits.maxSequences();
    }

    @Override
    public Limits limits() {
        return limits;
    }

    @Override
    public int queue() {
        return queue;
    }

    @Override
    public Pending launch(Batch batch) {
        if (inFlight == queue) {
            throw new IllegalStateException(inFlight + " batches are in flight, no more fit the queue");
        }
        BatchCheck.check(batch, limits, model.logits.cols());
        Slot slot = slots[next];
        fill(slot.step, batch);
        model.executor.submit(slot.step);
        next = 1 - next;
        inFlight++;
        return slot;
    }

    private void fill(Step step, Batch batch) {
        step.clear();
        int[] out = batch.swapsOut();
        for (int i = 0; i < out.length; i += 2) {
            step.swapOut(out[i], out[i + 1]);
        }
        int[] in = batch.swapsIn();
        for (int i = 0; i < in.length; i += 2) {
            step.swapIn(in[i], in[i + 1]);
        }
        int[] copies = batch.copies();
        for (int i = 0; i < copies.length; i += 2) {
            step.copyBlock(copies[i], copies[i + 1]);
        }
        for (int i = 0; i < batch.rows().size(); i++) {
            fill(step, batch.rows().get(i));
        }
        for (int i = 0; i < batch.fillers().size(); i++) {
            pad(step, batch.fillers().get(i));
        }
    }

    /** Attends over the first blocks, whatever they hold, and stores nothing. */
    private void pad(Step step, Batch.Filler filler) {
        step.beginSequence();
        for (int i = 0; i < Math.ceilDiv(filler.to(), limits.blockTokens()); i++) {
            step.block(i);
        }
        for (int p = filler.from(); p < filler.to(); p++) {
            step.token(0, p, NOWHERE);
        }
        if (filler.drawn()) {
            step.sample(step.logits(), -1, filler.to(), GREEDY);
        }
    }

    private void fill(Step step, Batch.Row row) {
        step.beginSequence();
        int size = limits.blockTokens();
        for (int i = 0; i < Math.ceilDiv(row.to(), size); i++) {
            step.block(row.blocks().block(i));
        }
        Step.@Nullable SampleSpec scoring = row.scoresFrom() < row.scoresTo() ? scoring(row.scoreLogprobs()) : null;
        int drawFrom = row.samples().isEmpty() ? row.to() : row.to() - 1 - row.drafts();
        int last = -1;
        for (int p = row.from(); p < row.to(); p++) {
            int slot = row.blocks().block(p / size) * size + p % size;
            if (p < row.known()) {
                step.token(row.tokens()[p], p, slot);
            } else {
                step.carried(row.carried(), p, slot);
            }
            boolean scored = p >= row.scoresFrom() && p < row.scoresTo();
            if (scored || p >= drawFrom) {
                last = step.logits();
            }
            if (scored && scoring != null) {
                step.sample(last, row.tokens()[p + 1], p + 1, scoring);
            }
        }
        for (int p = drawFrom; p < row.to(); p++) {
            for (int i = 0; i < row.samples().size(); i++) {
                draw(step, row.samples().get(i), last - (row.to() - 1 - p), p + 1);
            }
        }
    }

    private static Step.SampleSpec scoring(int logprobs) {
        return new Step.SampleSpec(0, 1, 0, 0, 1, 0, 0, Math.max(0, logprobs), 0, 0);
    }

    private static void draw(Step step, Batch.Draw draw, int logits, int position) {
        SamplingParams p = draw.params();
        Step.SampleSpec spec = new Step.SampleSpec(
                p.temperature(),
                p.topP(),
                p.minP(),
                p.topK(),
                p.repetitionPenalty(),
                p.presencePenalty(),
                p.frequencyPenalty(),
                p.logprobs(),
                p.seed(),
                draw.stream());
        step.sample(logits, -1, position, spec);
        for (int i = 0; i < p.biasTokens().length; i++) {
            step.bias(p.biasTokens()[i], p.biasValues()[i]);
        }
        for (int token : draw.forbidden()) {
            step.bias(token, Float.NEGATIVE_INFINITY);
        }
        TokenCounts counts = draw.counts();
        if (counts != null && p.usesCounts()) {
            for (int i = 0; i < counts.size(); i++) {
                step.count(counts.token(i), counts.outputs(i));
            }
        }
    }

    /** The raw logits of a row of the last step, {@code [vocab]}, for tests. Nothing may be in flight. */
    float[] logits(int row) {
        float[] values = new float[model.logits.cols()];
        model.backend.download(
                MemorySegment.ofArray(values),
                model.logits.buffer(),
                model.logits.offset() + (long) row * values.length * Float.BYTES);
        return values;
    }

    /** Waits for what is in flight, and frees the executor and the step buffers. */
    @Override
    public void close() {
        try {
            awaitAll();
        } finally {
            model.executor.close();
            for (Slot slot : slots) {
                slot.step.close();
            }
        }
    }

    /** Also those behind one that fails. */
    private void awaitAll() {
        if (inFlight > 0) {
            try {
                oldest().await();
            } finally {
                awaitAll();
            }
        }
    }

    private Slot oldest() {
        return slots[(next + inFlight) % slots.length];
    }

    /** A step buffer, and the batch in flight or last done in it. */
    private final class Slot implements Pending, StepOutput {
        private final Step step;

        Slot(Step step) {
            this.step = step;
        }

        @Override
        public StepOutput await() {
            if (inFlight == 0 || oldest() != this) {
                throw new IllegalStateException("not the first of the " + inFlight + " batches in flight");
            }
            inFlight--;
            model.executor.await();
            return this;
        }

        private int checked(int sample) {
            return Objects.checkIndex(sample, step.sampleCount());
        }

        @Override
        public long deviceNanos() {
            return step.deviceNanos();
        }

        @Override
        public int token(int sample) {
            return step.sampledToken(checked(sample));
        }

        @Override
        public float logprob(int sample) {
            return step.logprob(checked(sample));
        }

        @Override
        public int topToken(int sample, int i) {
            return step.topToken(checked(sample), i);
        }

        @Override
        public float topLogprob(int sample, int i) {
            return step.topLogprob(checked(sample), i);
        }
    }
}
