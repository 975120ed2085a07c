package dev.quire.server.http;

import io.netty.channel.EventLoop;
import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One movable deadline of a connection. Moving it costs a field write: the timer in flight looks again when it fires.
 * Event loop only.
 */
final class Deadline {
    private final EventLoop loop;
    private final Runnable missed;
    private long atNanos;
    private boolean armed;
    private @Nullable Future<?> timer;
    private long timerNanos;

    Deadline(EventLoop loop, Runnable missed) {
        this.loop = loop;
        this.missed = missed;
    }

    void set(Duration in) {
        armed = true;
        atNanos = System.nanoTime() + in.toNanos();
        if (timer != null && timerNanos - atNanos > 0) {
            timer.cancel(false);
            timer = null;
        }
        if (timer == null) {
            schedule();
        }
    }

    void clear() {
        armed = false;
    }

    /** Lets go of the timer; the deadline is not used afterwards. */
    void dispose() {
        armed = false;
        if (timer != null) {
            timer.cancel(false);
            timer = null;
        }
    }

    private void schedule() {
        timerNanos = atNanos;
        timer = loop.schedule(this::fire, Math.max(0, atNanos - System.nanoTime()), TimeUnit.NANOSECONDS);
    }

    private void fire() {
        timer = null;
        if (!armed) {
            return;
        }
        if (atNanos - System.nanoTime() > 0) {
            schedule();
        } else {
            armed = false;
            missed.run();
        }
    }
}
