package dev.quire.scheduler;

import java.time.Duration;
import java.util.Comparator;

/**
 * Lower priority numbers first, and they take the blocks of higher ones; among equals, first come, first served. Nobody
 * starves: whoever waits rises, so that a request is overtaken only by those that come in so much later as their
 * priority is better.
 */
public final class PriorityPolicy implements SchedulingPolicy {
    private static final Duration LEVEL = Duration.ofMinutes(1);
    /** Levels beyond are all the same, so that a rank fits a long. */
    private static final long MOST = 1_000_000;

    private final long levelNanos;
    private final OrderedPolicy policy;

    /** A minute of waiting is worth one level of priority. */
    public PriorityPolicy() {
        this(LEVEL);
    }

    /**
     * A policy.
     *
     * @param level time of waiting that is worth one level of priority; at most an hour
     */
    public PriorityPolicy(Duration level) {
        if (level.isNegative() || level.isZero() || level.compareTo(Duration.ofHours(1)) > 0) {
            throw new IllegalArgumentException("level is " + level + ", allowed are times up to an hour");
        }
        levelNanos = level.toNanos();
        policy = new OrderedPolicy(Comparator.comparingLong(this::rank));
    }

    private long rank(SequenceView s) {
        return s.arrivedNanos() + Math.clamp(s.priority(), -MOST, MOST) * levelNanos;
    }

    @Override
    public void plan(StepBuilder step) {
        policy.plan(step);
    }

    @Override
    public void join(StepBuilder step) {
        policy.join(step);
    }
}
