package dev.quire.scheduler;

import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Events of one request on their way from the engine thread to its one consumer. Bounded and without locks; the engine
 * never waits here: it pauses the request long before the ring is full.
 */
final class EventRing {
    private final AtomicReferenceArray<@Nullable TokenEvent> slots;
    private volatile long taken;
    private volatile long put;
    private volatile @Nullable Thread reader;
    private volatile @Nullable Runnable onNews;

    EventRing(int capacity) {
        slots = new AtomicReferenceArray<>(Integer.highestOneBit(Math.max(2, capacity) - 1) * 2);
    }

    /** Events not read yet. */
    int unread() {
        return (int) (put - taken);
    }

    /** Events read since the start. */
    long taken() {
        return taken;
    }

    /** Engine thread. @throws IllegalStateException when the ring is full: the request should have been paused */
    void put(TokenEvent event) {
        long at = put;
        if (at - taken >= slots.length()) {
            throw new IllegalStateException("more than " + slots.length() + " unread events");
        }
        slots.set((int) at & slots.length() - 1, event);
        put = at + 1;
        Thread thread = reader;
        if (thread != null) {
            LockSupport.unpark(thread);
        }
        Runnable action = onNews;
        if (action != null) {
            action.run();
        }
    }

    /** Takes the action that {@link #put} runs from now on. Consumer. */
    void onNews(Runnable action) {
        onNews = action;
    }

    /** The next event, or null when there is none. Consumer. */
    @Nullable
    TokenEvent poll() {
        long at = taken;
        if (at == put) {
            return null;
        }
        int slot = (int) at & slots.length() - 1;
        TokenEvent event = slots.get(slot);
        slots.set(slot, null);
        taken = at + 1;
        return event;
    }

    /** Waits for the next event, at most so long; null when none came. Consumer. */
    @Nullable
    TokenEvent poll(long nanos) throws InterruptedException {
        TokenEvent event = poll();
        if (event != null) {
            return event;
        }
        reader = Thread.currentThread();
        try {
            event = poll();
            if (event == null) {
                LockSupport.parkNanos(this, nanos);
                event = poll();
            }
        } finally {
            reader = null;
        }
        if (event == null && Thread.interrupted()) {
            throw new InterruptedException();
        }
        return event;
    }
}
