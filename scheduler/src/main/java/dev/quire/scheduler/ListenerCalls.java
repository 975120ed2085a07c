package dev.quire.scheduler;

import java.util.Arrays;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Calls a listener; what it throws is logged once and harms nobody. */
final class ListenerCalls {
    private static final Logger LOG = LoggerFactory.getLogger(ListenerCalls.class);

    private final EngineListener listener;
    private boolean logged;
    private long[] gaps = new long[64];
    private int gapCount;

    ListenerCalls(EngineListener listener) {
        this.listener = listener;
    }

    /** Tells of a step, and of the tokens since the last. */
    void step(EngineListener.StepStats stats) {
        try {
            for (int i = 0; i < gapCount; i++) {
                listener.onNextToken(gaps[i]);
            }
            listener.onStep(stats);
        } catch (RuntimeException e) {
            log(e);
        } finally {
            gapCount = 0;
        }
    }

    void firstToken(long nanos) {
        try {
            listener.onFirstToken(nanos);
        } catch (RuntimeException e) {
            log(e);
        }
    }

    /** A further token; told with the step. */
    void nextToken(long nanos) {
        if (gapCount == gaps.length) {
            gaps = Arrays.copyOf(gaps, 2 * gapCount);
        }
        gaps[gapCount++] = nanos;
    }

    void finished(EngineListener.RequestStats stats) {
        try {
            listener.onFinish(stats);
        } catch (RuntimeException e) {
            log(e);
        }
    }

    private void log(RuntimeException e) {
        if (!logged) {
            logged = true;
            LOG.error("the engine's listener failed; further failures are not logged", e);
        }
    }
}
