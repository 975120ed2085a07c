package dev.quire.scheduler;

import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Everybody's next token first, then pieces of prompts, then newcomers, each in a given order; whoever comes last in
 * that order gives up its blocks when they run out. No newcomers in a step that preempted.
 */
final class OrderedPolicy implements SchedulingPolicy {
    private final Comparator<SequenceView> rank;
    private final Comparator<SequenceView> order;
    /** Who could not be admitted by the step before, and whether for want of a row, not of blocks. */
    private @Nullable SequenceView blocked;

    private boolean blockedByRows;

    /** @param rank newcomers take what those of lower rank have; among equals who came first is served first */
    OrderedPolicy(Comparator<SequenceView> rank) {
        this.rank = rank;
        order = rank.thenComparing(SequenceView.ARRIVAL);
    }

    @Override
    public void plan(StepBuilder step) {
        sort(step.running());
        boolean preempted = makeWay(step);
        preempted |= advance(step, true);
        preempted |= advance(step, false);
        blocked = null;
        if (!preempted && !step.waiting().isEmpty()) {
            sort(step.waiting());
            blocked = admit(step);
        }
    }

    /** Sorts what nearly always is in order: that is seen without the memory that sorting takes. */
    private void sort(List<? extends SequenceView> sequences) {
        for (int i = 1; i < sequences.size(); i++) {
            if (order.compare(sequences.get(i - 1), sequences.get(i)) > 0) {
                sequences.sort(order);
                return;
            }
        }
    }

    @Override
    public void join(StepBuilder step) {
        if (blocked == null && !step.preempted()) {
            sort(step.waiting());
            blocked = admit(step);
        }
    }

    /** Takes the blocks of one whose reader sleeps, or whom the newcomer turned away in the step before outranks. */
    private boolean makeWay(StepBuilder step) {
        SequenceView newcomer = blocked;
        if (newcomer == null || newcomer.remaining() == 0) {
            return false;
        }
        List<? extends SequenceView> running = step.running();
        SequenceView victim = null;
        for (int i = running.size() - 1; i >= 0; i--) {
            SequenceView s = running.get(i);
            if (s.paused() && !blockedByRows) {
                step.preempt(s);
                return true;
            }
            boolean spared = s.paused() || s.preemptions() >= step.preemptionLimit();
            if (victim == null && !spared && rank.compare(newcomer, s) < 0) {
                victim = s;
            }
        }
        if (victim != null) {
            step.preempt(victim);
        }
        return victim != null;
    }

    private boolean advance(StepBuilder step, boolean singles) {
        boolean preempted = false;
        List<? extends SequenceView> running = step.running();
        for (int i = 0; i < running.size() && step.sequencesLeft() > 0; i++) {
            SequenceView s = running.get(i);
            if (s.remaining() == 1 != singles || step.room(s) == 0) {
                continue;
            }
            while (!step.schedule(s, step.room(s))) {
                SequenceView victim = victim(step, i);
                step.preempt(victim);
                preempted = true;
                if (victim == s) {
                    break;
                }
            }
        }
        return preempted;
    }

    /**
     * Who gives up its blocks for the running sequence at an index: one whose reader sleeps, else the last in order, but
     * one preempted too often only when nobody else is left.
     */
    private static SequenceView victim(StepBuilder step, int asking) {
        SequenceView sleeping = last(step, 0, s -> s.paused());
        if (sleeping != null) {
            return sleeping;
        }
        int limit = step.preemptionLimit();
        SequenceView later = last(step, asking, s -> s.preemptions() < limit);
        if (later != null) {
            return later;
        }
        SequenceView earlier = last(step, 0, s -> s.preemptions() < limit);
        if (earlier != null) {
            return earlier;
        }
        SequenceView any = last(step, asking, s -> true);
        return any == null ? step.running().get(asking) : any;
    }

    private static @Nullable SequenceView last(StepBuilder step, int from, Predicate<SequenceView> wanted) {
        List<? extends SequenceView> running = step.running();
        for (int i = running.size() - 1; i >= from; i--) {
            SequenceView s = running.get(i);
            if (!step.decided(s) && wanted.test(s)) {
                return s;
            }
        }
        return null;
    }

    /** Admits who fits, in order; returns who did not for want of blocks or rows, else null. */
    private @Nullable SequenceView admit(StepBuilder step) {
        List<? extends SequenceView> waiting = step.waiting();
        for (int i = 0; i < waiting.size(); i++) {
            SequenceView s = waiting.get(i);
            if (s.remaining() == 0) {
                continue;
            }
            int tokens = step.room(s);
            blockedByRows = step.sequencesLeft() == 0;
            if (tokens == 0) {
                return blockedByRows ? s : null;
            }
            if (!step.schedule(s, tokens)) {
                return s;
            }
        }
        return null;
    }
}
