package dev.quire.scheduler;

import java.util.Comparator;

/** What a policy may know of a sequence: one choice of a request. Engine thread. */
public interface SequenceView {
    /** Who came first, and of one request the lower choice. */
    Comparator<SequenceView> ARRIVAL =
            Comparator.comparingLong(SequenceView::arrival).thenComparingInt(SequenceView::choice);

    /** The request's priority; lower is more urgent. */
    long priority();

    /** Number of the request in order of arrival. */
    long arrival();

    /** When the request came in, on the engine's clock. */
    long arrivedNanos();

    /** Which choice of its request. */
    int choice();

    /** Tokens that it could have computed now; 0 when there is nothing to do or its reader is too slow. */
    int remaining();

    /** Positions that are computed at most: prompt and output without the last token, which never is. */
    int peak();

    /** How often it was preempted. */
    int preemptions();

    /** Whether it rests because its reader does not keep up. */
    boolean paused();
}
