package dev.quire.bench;

import dev.quire.model.Batch;
import dev.quire.model.ModelRunner;
import dev.quire.model.StepOutput;
import java.util.concurrent.locks.LockSupport;

/** Computes nothing: every draw is the next token of a text that is known. Steps may be given a length. */
final class IdleRunner implements ModelRunner, ModelRunner.Pending, StepOutput {
    private final Limits limits;
    private final int[] text;
    private final long stepNanos;
    private long launchedNanos;
    private int steps;

    /**
     * @param text the tokens that sequences get, over and over; each begins at another place
     * @param stepNanos how long a step takes at least; its thread sleeps
     */
    IdleRunner(Limits limits, int[] text, long stepNanos) {
        this.limits = limits;
        this.text = text;
        this.stepNanos = stepNanos;
    }

    @Override
    public Limits limits() {
        return limits;
    }

    @Override
    public Pending launch(Batch batch) {
        steps++;
        launchedNanos = stepNanos == 0 ? 0 : System.nanoTime();
        return this;
    }

    @Override
    public StepOutput await() {
        if (stepNanos > 0) {
            for (long left = stepNanos; left > 0; left = launchedNanos + stepNanos - System.nanoTime()) {
                LockSupport.parkNanos(left);
            }
        }
        return this;
    }

    @Override
    public int token(int sample) {
        return text[(int) ((steps + 7L * sample) % text.length)];
    }

    @Override
    public float logprob(int sample) {
        return -1;
    }

    @Override
    public int topToken(int sample, int i) {
        return text[(token(sample) + i) % text.length];
    }

    @Override
    public float topLogprob(int sample, int i) {
        return -1 - i;
    }

    @Override
    public void close() {}
}
