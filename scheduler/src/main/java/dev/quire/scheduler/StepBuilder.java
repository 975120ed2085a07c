package dev.quire.scheduler;

import java.util.List;

/**
 * The verbs of a policy. The lists stay the same during a plan, except that the policy may sort them; who was scheduled,
 * admitted or preempted changes places afterwards. Valid during {@link SchedulingPolicy#plan} and
 * {@link SchedulingPolicy#join} only.
 */
public interface StepBuilder {
    /** Sequences that hold blocks. */
    List<? extends SequenceView> running();

    /** Sequences that hold none. */
    List<? extends SequenceView> waiting();

    /** Tokens of a sequence that this step can still take: at most {@link SequenceView#remaining}, 0 = none. */
    int room(SequenceView sequence);

    /** Rows that this step can still take. */
    int sequencesLeft();

    /** How often a sequence may be preempted before it is spared. */
    int preemptionLimit();

    /**
     * Puts up to {@code tokens} tokens of a sequence into the step, admitting it when it waits.
     *
     * @param tokens at least 1, at most {@link #room}
     * @return false when blocks are missing; nothing has changed then
     */
    boolean schedule(SequenceView sequence, int tokens);

    /** Whether anybody was preempted in this step. */
    boolean preempted();

    /** Whether a sequence was scheduled or preempted in this step. */
    boolean decided(SequenceView sequence);

    /**
     * Takes all blocks of a running sequence that this step has not scheduled; it waits and will be computed again.
     *
     * @throws IllegalStateException when it is not running or is scheduled already
     */
    void preempt(SequenceView sequence);

    /**
     * Adds filler: up to {@code to - from} tokens of nobody, computed as if they continued a sequence of {@code from}
     * tokens, and dropped.
     *
     * @param drawn whether it stands for a row that generates: one token, and one is drawn after it
     * @return how many tokens the step had room for
     */
    int pad(int from, int to, boolean drawn);

    /**
     * Counts so many slots of the KV cache as allocated, used or not, instead of the blocks that sequences hold: what a
     * cache of contiguous rows would take. Book-keeping only.
     *
     * @return whether the cache has so many
     */
    boolean reserve(long slots);

    /** Nothing may be computed yet: a plan is asked for again after so long, or when there is news. */
    void hold(long nanos);
}
