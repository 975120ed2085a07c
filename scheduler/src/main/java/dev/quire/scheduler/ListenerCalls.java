package dev.quire.scheduler;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Calls a listener; what it throws is logged once and harms nobody. */
final class ListenerCalls {
    private static final Logger LOG = LoggerFactory.getLogger(ListenerCalls.class);

    private final EngineListener listener;
    private boolean logged;

    ListenerCalls(EngineListener listener) {
        this.listener = listener;
    }

    void step(EngineListener.StepStats stats) {
        try {
            listener.onStep(stats);
        } catch (RuntimeException e) {
            log(e);
        }
    }

    void firstToken(long nanos) {
        try {
            listener.onFirstToken(nanos);
        } catch (RuntimeException e) {
            log(e);
        }
    }

    void nextToken(long nanos) {
        try {
            listener.onNextToken(nanos);
        } catch (RuntimeException e) {
            log(e);
        }
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
