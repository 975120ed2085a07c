package dev.quire.scheduler;

import java.util.Comparator;

/** Lower priority numbers first, and they take the blocks of higher ones; among equals, first come, first served. */
public final class PriorityPolicy implements SchedulingPolicy {
    private final OrderedPolicy policy = new OrderedPolicy(Comparator.comparingLong(SequenceView::priority));

    @Override
    public void plan(StepBuilder step) {
        policy.plan(step);
    }
}
