package dev.quire.scheduler;

import dev.quire.kvcache.BlockCopies;
import dev.quire.kvcache.BlockTable;
import dev.quire.model.Batch;
import dev.quire.model.ModelRunner;
import dev.quire.model.StepOutput;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands plans to the device and takes results back. When a step fails, its rows are run again one by one: those that
 * fail alone are at fault, and only their requests end. Engine thread.
 */
final class StepRunner {
    private static final Logger LOG = LoggerFactory.getLogger(StepRunner.class);
    /** Steps in a row of which not one row could be computed: then it is the device. */
    private static final int DEVICE_FAILURES = 3;

    private final EngineState state;
    private final ModelRunner runner;
    private final Settlement settlement;
    private final List<Batch.Row> rows = new ArrayList<>();
    private int failures;

    StepRunner(EngineState state, ModelRunner runner, Settlement settlement) {
        this.state = state;
        this.runner = runner;
        this.settlement = settlement;
    }

    /** Starts a plan's rows; null when there are none, or when they failed and have been dealt with. */
    ModelRunner.@Nullable Pending launch(StepPlan plan) {
        rows.clear();
        for (int i = 0; i < plan.entries.size(); i++) {
            rows.add(plan.entries.get(i).row());
        }
        int[] copies = plan.copies.pairs();
        try {
            return rows.isEmpty() ? null : runner.launch(new Batch(rows, copies));
        } catch (RuntimeException e) {
            isolate(plan, copies, e);
            return null;
        } finally {
            state.cache.copied(plan.copies);
        }
    }

    /** Waits for a step's results and settles them. */
    void await(StepPlan plan, ModelRunner.Pending pending, int[] copies) {
        StepOutput output;
        try {
            output = pending.await();
        } catch (RuntimeException e) {
            isolate(plan, copies, e);
            return;
        }
        failures = 0;
        settle(plan.entries, output);
    }

    private void settle(List<StepPlan.Entry> entries, StepOutput output) {
        int sample = 0;
        for (int i = 0; i < entries.size(); i++) {
            StepPlan.Entry entry = entries.get(i);
            try {
                settlement.settle(entry, output, sample);
            } catch (RuntimeException e) {
                ActiveRequest request = entry.sequence().request;
                LOG.error("request {} failed while its results were taken", request.spec.id(), e);
                state.fail(request, "The server had an error in this request.");
            }
            sample += Settlement.samples(entry.row());
        }
    }

    private void isolate(StepPlan plan, int[] copies, RuntimeException cause) {
        LOG.error("a step of {} rows failed; running them one by one", plan.entries.size(), cause);
        boolean any = false;
        for (StepPlan.Entry entry : plan.entries) {
            if (entry.current()) {
                any |= alone(entry, copies);
            } else {
                settlement.lose(entry);
            }
        }
        // A batch that was refused says nothing of the device.
        failures = any || cause instanceof IllegalArgumentException ? 0 : failures + 1;
        if (failures >= DEVICE_FAILURES && !deviceWorks()) {
            throw new IllegalStateException(failures + " steps in a row have failed, the last with: " + cause, cause);
        }
    }

    private boolean alone(StepPlan.Entry entry, int[] copies) {
        Batch.Row row = entry.row();
        try {
            StepOutput output = runner.launch(new Batch(List.of(row), copiesFor(row, copies)))
                    .await();
            settlement.settle(entry, output, 0);
            return true;
        } catch (RuntimeException e) {
            ActiveRequest request = entry.sequence().request;
            LOG.error("request {} failed: tokens [{}, {})", request.spec.id(), row.from(), row.to(), e);
            settlement.lose(entry);
            state.fail(request, "The model could not compute this request.");
            return false;
        }
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
        }
    }

    private static int[] copiesFor(Batch.Row row, int[] copies) {
        List<Integer> pairs = new ArrayList<>();
        for (int i = 0; i < copies.length; i += 2) {
            for (int b = 0; b < row.blocks().size(); b++) {
                if (row.blocks().block(b) == copies[i + 1]) {
                    pairs.add(copies[i]);
                    pairs.add(copies[i + 1]);
                }
            }
        }
        return pairs.stream().mapToInt(Integer::intValue).toArray();
    }
}
