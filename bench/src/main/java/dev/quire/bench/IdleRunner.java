package dev.quire.bench;

import dev.quire.model.Batch;
import dev.quire.model.ModelRunner;
import dev.quire.model.StepOutput;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;

/** Computes nothing: every draw is the next token of a text that is known. Steps may be given a length. */
final class IdleRunner implements ModelRunner, ModelRunner.Pending, StepOutput {
    private final Limits limits;
    private final int[] text;
    private final long stepNanos;
    private long launchedNanos;
    private long endedNanos;
    private int steps;
    private final LongAdder gapNanos = new LongAdder();
    private final LongAdder gaps = new LongAdder();

    /**
     * @param text the tokens that sequences get, over and over; each begins at another place
     * @param stepNanos how long a step takes at least; its thread sleeps
     */
    IdleRunner(Limits limits, int[] text, long stepNanos) {
        this.limits = limits;
        this.text = text;
        this.stepNanos = stepNanos;
    }

    /**
     * The time that the device had no work.
     *
     * @param count steps that were launched when another had ended
     * @param nanos from those ends to those launches, together
     */
    record Gaps(long count, long nanos) {
        /** Microseconds of a gap on average, of those since an earlier reading. */
        double microsSince(Gaps before) {
            return count == before.count ? 0 : (nanos - before.nanos) / 1e3 / (count - before.count);
        }
    }

    /** So far. */
    Gaps gaps() {
        return new Gaps(gaps.sum(), gapNanos.sum());
    }

    @Override
    public Limits limits() {
        return limits;
    }

    @Override
    public Pending launch(Batch batch) {
        steps++;
        launchedNanos = System.nanoTime();
        if (endedNanos > 0) {
            gapNanos.add(launchedNanos - endedNanos);
            gaps.increment();
        }
        endedNanos = 0;
        return this;
    }

    @Override
    public StepOutput await() {
        if (stepNanos > 0) {
            for (long left = stepNanos; left > 0; left = launchedNanos + stepNanos - System.nanoTime()) {
                LockSupport.parkNanos(left);
            }
        }
        endedNanos = System.nanoTime();
        return this;
    }

    @Override
    public long deviceNanos() {
        return stepNanos;
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
