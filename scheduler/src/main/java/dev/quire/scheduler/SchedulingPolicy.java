package dev.quire.scheduler;

/** Decides who computes how many tokens in the next step. */
public interface SchedulingPolicy {
    /** Called by the engine thread once per step, while the step before is being computed. */
    void plan(StepBuilder step);

    /** Called with the plan that was made once more, when others have come since: they may join it. */
    default void join(StepBuilder step) {}
}
