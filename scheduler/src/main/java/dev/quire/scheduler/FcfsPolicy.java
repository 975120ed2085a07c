package dev.quire.scheduler;

/** First come, first served: the default. */
public final class FcfsPolicy implements SchedulingPolicy {
    private final OrderedPolicy policy = new OrderedPolicy((_, _) -> 0);

    @Override
    public void plan(StepBuilder step) {
        policy.plan(step);
    }

    @Override
    public void join(StepBuilder step) {
        policy.join(step);
    }
}
