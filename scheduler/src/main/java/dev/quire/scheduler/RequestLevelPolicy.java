package dev.quire.scheduler;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * Batching by whole requests, as servers did before continuous batching, to compare with: a batch is formed, its prompts
 * are padded to the longest, and it runs until its longest output is finished. Nobody joins meanwhile; the row of one
 * that has ended, or whose reader sleeps, is computed on as filler. The cache counts as allocated in rows that are as
 * long as the longest prompt and the longest output together.
 *
 * <p>Where such servers differ the kinder way is taken: tokens are handed out as they are drawn, not when the batch ends,
 * lengths of outputs are known to the allocator, and nothing attends to padding but padding.
 */
public final class RequestLevelPolicy implements SchedulingPolicy {
    private final boolean fixed;
    private final long patienceNanos;
    private final LongSupplier clock;

    /** Chosen for the batch, not in a step yet. */
    private final List<SequenceView> entering = new ArrayList<>();
    /** Those of whose prompts a part has been given to a step. */
    private final List<SequenceView> begun = new ArrayList<>();
    /** For each prompt of the batch that is not padded yet, where its padding begins. */
    private final List<Integer> unpadded = new ArrayList<>();
    /** Rows of the batch. */
    private int width;
    /** What prompts are padded to. */
    private int longestPrompt;
    /** Positions of a row of the cache. */
    private long rowSlots;
    /** Where rows that have ended are. */
    private int position;

    private RequestLevelPolicy(boolean fixed, Duration patience, LongSupplier clock) {
        this.fixed = fixed;
        patienceNanos = patience.toNanos();
        this.clock = clock;
    }

    /**
     * Static batching: a batch is formed when it is full, or when nobody has come for {@code quiet}.
     *
     * @param clock the engine's
     */
    public static RequestLevelPolicy fixed(Duration quiet, LongSupplier clock) {
        return new RequestLevelPolicy(true, quiet, clock);
    }

    /**
     * Dynamic batching: a batch is formed when it is full, or when the first of it has waited for {@code window}.
     *
     * @param clock the engine's
     */
    public static RequestLevelPolicy dynamic(Duration window, LongSupplier clock) {
        return new RequestLevelPolicy(false, window, clock);
    }

    @Override
    public void plan(StepBuilder step) {
        entering.retainAll(step.waiting());
        entering.removeIf(s -> s.remaining() == 0);
        if (step.running().isEmpty() && entering.isEmpty()) {
            form(step);
        }
        step.running().sort(SequenceView.ARRIVAL);
        width = Math.max(width, step.running().size()); // several choices of one request are several rows
        step.reserve((width + entering.size()) * rowSlots);
        if (!computePrompts(step)) {
            generate(step);
        }
    }

    private void form(StepBuilder step) {
        unpadded.clear();
        width = 0;
        longestPrompt = 0;
        rowSlots = 0;
        step.waiting().sort(SequenceView.ARRIVAL);
        List<SequenceView> ready = new ArrayList<>(step.waiting());
        ready.removeIf(s -> s.remaining() == 0);
        if (ready.isEmpty()) {
            return;
        }
        SequenceView decisive = fixed ? ready.getLast() : ready.getFirst();
        long left = decisive.arrivedNanos() + patienceNanos - clock.getAsLong();
        if (left > 0 && ready.size() < step.sequencesLeft()) {
            step.hold(left);
            return;
        }
        choose(step, ready.subList(0, Math.min(ready.size(), step.sequencesLeft())));
        position = longestPrompt;
    }

    /** Takes as many as the cache has rows for. */
    private void choose(StepBuilder step, List<SequenceView> ready) {
        int longestOutput = 0;
        for (SequenceView s : ready) {
            int prompt = Math.max(longestPrompt, s.remaining());
            int output = Math.max(longestOutput, s.peak() - s.remaining());
            long slots = (long) prompt + output;
            if (!entering.isEmpty() && !step.reserve((entering.size() + 1) * slots)) {
                return;
            }
            longestPrompt = prompt;
            longestOutput = output;
            rowSlots = slots;
            entering.add(s);
        }
    }

    /** Computes prompts and their padding; false when all are done. */
    private boolean computePrompts(StepBuilder step) {
        begun.retainAll(step.running());
        boolean busy = !entering.isEmpty();
        for (SequenceView s : List.copyOf(begun)) {
            busy |= s.remaining() > 0;
            goOn(step, s);
        }
        enter(step);
        busy |= !unpadded.isEmpty();
        pad(step);
        return busy;
    }

    private void goOn(StepBuilder step, SequenceView s) {
        boolean last = step.room(s) == s.remaining();
        if (advance(step, s) && last) {
            begun.remove(s);
        }
    }

    private void enter(StepBuilder step) {
        for (int i = 0; i < entering.size(); i++) {
            SequenceView s = entering.get(i);
            int prompt = s.remaining();
            int room = step.room(s);
            if (room == 0) {
                return;
            }
            if (!step.schedule(s, room)) {
                entering.subList(i, entering.size()).clear(); // no blocks: they wait for the next batch
                return;
            }
            width++;
            if (room < prompt) {
                begun.add(s);
            }
            if (prompt < longestPrompt) {
                unpadded.add(prompt);
            }
        }
    }

    private void pad(StepBuilder step) {
        while (!unpadded.isEmpty()) {
            int from = unpadded.getFirst();
            int done = step.pad(from, longestPrompt, false);
            if (from + done < longestPrompt) {
                unpadded.set(0, from + done);
                return;
            }
            unpadded.removeFirst();
        }
    }

    private void generate(StepBuilder step) {
        int rows = 0;
        for (int i = 0; i < step.running().size(); i++) {
            rows += advance(step, step.running().get(i)) ? 1 : 0;
        }
        if (rows == 0) {
            setAside(step);
            return;
        }
        while (rows < width && step.pad(position, position + 1, true) > 0) {
            rows++;
        }
        position++;
    }

    /** Ends a batch of which nobody reads any more: who reads again joins a later one. */
    private static void setAside(StepBuilder step) {
        if (step.running().stream().allMatch(SequenceView::paused)) {
            step.running().forEach(step::preempt);
        }
    }

    /** Gives a running sequence what the step has room for; takes the blocks for it from who came last. */
    private static boolean advance(StepBuilder step, SequenceView s) {
        if (step.room(s) == 0) {
            return false;
        }
        while (!step.schedule(s, step.room(s))) {
            SequenceView victim = lastUndecided(step, s);
            step.preempt(victim);
            if (victim == s) {
                return false;
            }
        }
        return true;
    }

    private static SequenceView lastUndecided(StepBuilder step, SequenceView asking) {
        for (int i = step.running().size() - 1; i >= 0; i--) {
            SequenceView s = step.running().get(i);
            if (!step.decided(s)) {
                return s;
            }
        }
        return asking;
    }
}
