package dev.quire.scheduler;

import dev.quire.kvcache.BlockCopies;
import dev.quire.kvcache.BlockSwaps;
import dev.quire.kvcache.BlockTable;
import dev.quire.model.Batch;
import dev.quire.model.ModelRunner;
import dev.quire.model.StepOutput;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands plans to the device and takes results back. When a step fails, its halves are run again, and theirs, down to
 * single rows: those that fail alone are at fault, and only their requests end. Engine thread.
 */
final class StepRunner {
    private static final Logger LOG = LoggerFactory.getLogger(StepRunner.class);
    /** Steps in a row of which not one row could be computed: then it is the device. */
    private static final int DEVICE_FAILURES = 3;

    /** Behind a failure of one of two steps in flight. */
    private static final int STEPS_ALONE = 100;

    private static final int[] NONE = new int[0];

    private final EngineState state;
    private final ModelRunner runner;
    private final Settlement settlement;
    private final Runnable tick;
    private int failures;
    /** Steps still to come of which none is launched behind another: one that fails alone shows who is at fault. */
    private int alone;

    private long deviceNanos;

    /** @param tick called whenever the device has answered: sets the time that results are dated with */
    StepRunner(EngineState state, ModelRunner runner, Settlement settlement, Runnable tick) {
        this.state = state;
        this.runner = runner;
        this.settlement = settlement;
        this.tick = tick;
    }

    /** How long the device was at work on the step awaited last; 0 when that failed. */
    long deviceNanos() {
        return deviceNanos;
    }

    /** Whether a plan may be launched behind another that is in flight. */
    boolean queues() {
        return runner.queue() > 1 && alone == 0;
    }

    /** Starts a plan's rows behind what is in flight, if there are any; why they were refused, or null. */
    @Nullable
    RuntimeException launch(StepPlan plan) {
        if (plan.isEmpty()) {
            // Swaps stay for the step that comes next.
            state.cache.copied(plan.copies);
            return null;
        }
        plan.copied = plan.copies.pairs();
        plan.number();
        BlockSwaps swaps = state.cache.swaps();
        int[] out = swaps.out();
        int[] in = swaps.in();
        try {
            plan.pending = runner.launch(plan.batch(plan.copied, out, in));
            state.cache.swapped();
            state.swappedOut += out.length / 2;
            state.swappedIn += in.length / 2;
            plan.swappedIn = in;
            return null;
        } catch (RuntimeException e) {
            return e;
        } finally {
            state.cache.copied(plan.copies);
        }
    }

    /** Runs a plan in parts that was refused, once nothing is in flight any more. */
    void launchInParts(StepPlan plan, RuntimeException refusal) {
        isolate(plan, NONE, refusal);
    }

    /**
     * Waits for a step's results and settles them; false when the step failed. It is then run in parts, unless another was
     * in flight behind it: that may have overwritten what the parts need, so the sequences of both start again.
     */
    boolean await(StepPlan plan, ModelRunner.Pending pending, @Nullable StepPlan behind) {
        deviceNanos = 0;
        StepOutput output;
        try {
            output = pending.await();
        } catch (RuntimeException e) {
            tick.run();
            if (behind == null || behind.pending == null) {
                isolate(plan, plan.swappedIn, e);
            } else {
                restart(plan, behind, behind.pending, e);
            }
            return false;
        }
        deviceNanos = output.deviceNanos();
        alone = Math.max(0, alone - 1);
        failures = 0;
        tick.run();
        settle(plan.entries, output);
        return true;
    }

    private void restart(StepPlan plan, StepPlan behind, ModelRunner.Pending pending, RuntimeException cause) {
        LOG.error("a step of {} rows failed; they start again, and those behind it", plan.entries.size(), cause);
        behind.pending = null;
        try {
            StepOutput _ = pending.await();
        } catch (RuntimeException e) {
            LOG.warn("the step behind it failed too", e);
        }
        alone = STEPS_ALONE;
        state.forgetSwapped(plan.swappedIn);
        state.forgetSwapped(behind.swappedIn);
        restart(plan.entries);
        restart(behind.entries);
        giveUpAfter(failures + 1, cause);
    }

    private void restart(List<PlanEntry> entries) {
        for (PlanEntry entry : entries) {
            Settlement.lose(entry);
            if (entry.current()) {
                state.restart(entry.sequence);
            }
        }
    }

    private void settle(List<PlanEntry> entries, StepOutput output) {
        int sample = 0;
        for (int i = 0; i < entries.size(); i++) {
            PlanEntry entry = entries.get(i);
            try {
                settlement.settle(entry, output, sample);
            } catch (RuntimeException e) {
                ActiveRequest request = entry.sequence.request;
                LOG.error("request {} failed while its results were taken", request.spec.id(), e);
                state.fail(request, "The server had an error in this request.");
            }
            sample += entry.row.outputs();
        }
    }

    /**
     * Runs a step in parts, without its swaps: what they moved, or would have, is forgotten, and whoever depends on it
     * starts again.
     *
     * @param failedIn pairs that the step swapped in, if it got so far
     */
    private void isolate(StepPlan plan, int[] failedIn, RuntimeException cause) {
        state.forgetSwapped(failedIn);
        LOG.error("a step of {} rows failed; running it in parts", plan.entries.size(), cause);
        plan.know();
        boolean any = split(plan.entries, plan.copied);
        // A batch that was refused says nothing of the device.
        giveUpAfter(any || cause instanceof IllegalArgumentException ? 0 : failures + 1, cause);
    }

    /** Ends the engine after so many failures in a row, if the device computes nothing any more. */
    private void giveUpAfter(int inARow, RuntimeException cause) {
        failures = inARow;
        if (failures >= DEVICE_FAILURES && !deviceWorks()) {
            throw new IllegalStateException(failures + " steps in a row have failed, the last with: " + cause, cause);
        }
    }

    private boolean split(List<PlanEntry> entries, int[] copies) {
        int half = entries.size() / 2;
        boolean first = half > 0 && retry(entries.subList(0, half), copies);
        return retry(entries.subList(half, entries.size()), copies) || first;
    }

    /** Computes what it can of some rows; whether that was any. */
    private boolean retry(List<PlanEntry> entries, int[] copies) {
        List<PlanEntry> left = new ArrayList<>();
        for (PlanEntry entry : entries) {
            if (entry.current()) {
                left.add(entry);
            } else {
                Settlement.lose(entry);
            }
        }
        if (left.isEmpty()) {
            return false;
        }
        List<Batch.Row> part = left.stream().map(entry -> entry.row).toList();
        StepOutput output;
        try {
            output = runner.launch(new Batch(part, copiesFor(part, copies))).await();
        } catch (RuntimeException e) {
            tick.run();
            if (left.size() > 1) {
                return split(left, copies);
            }
            fail(left.getFirst(), e);
            return false;
        }
        tick.run();
        settle(left, output);
        return true;
    }

    private void fail(PlanEntry entry, RuntimeException cause) {
        ActiveRequest request = entry.sequence.request;
        Batch.Row row = entry.row;
        LOG.error("request {} failed: tokens [{}, {})", request.spec.id(), row.from(), row.to(), cause);
        Settlement.lose(entry);
        state.fail(request, "The model could not compute this request.");
    }

    /** Whether the device can still compute anything at all: one token in a block of its own. */
    private boolean deviceWorks() {
        BlockTable table = new BlockTable();
        if (!state.cache.grow(table, 0, 1, new BlockCopies())) {
            return false;
        }
        try {
            Batch.Row row = new Batch.Row(new int[1], 0, 1, table, List.of(), 0, 0, 0);
            StepOutput _ = runner.launch(new Batch(List.of(row), new int[0])).await();
            failures = 0;
            return true;
        } catch (RuntimeException e) {
            LOG.error("the device does not compute any more", e);
            return false;
        } finally {
            state.cache.release(table);
            // A block that was cached before may have been written over.
            state.forgetSwapped(NONE);
        }
    }

    private static int[] copiesFor(List<Batch.Row> rows, int[] copies) {
        int[] pairs = new int[copies.length];
        int size = 0;
        for (int i = 0; i < copies.length; i += 2) {
            for (Batch.Row row : rows) {
                if (holds(row.blocks(), copies[i + 1])) {
                    pairs[size++] = copies[i];
                    pairs[size++] = copies[i + 1];
                    break;
                }
            }
        }
        return Arrays.copyOf(pairs, size);
    }

    private static boolean holds(BlockTable table, int block) {
        for (int b = 0; b < table.size(); b++) {
            if (table.block(b) == block) {
                return true;
            }
        }
        return false;
    }
}
