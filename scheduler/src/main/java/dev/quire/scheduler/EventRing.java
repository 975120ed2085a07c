package dev.quire.scheduler;

import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Events of one request on their way from the engine thread to its one consumer. Bounded and without locks; the engine
 * never waits here: it pauses the request long before the ring is full. Tokens travel as numbers, and become objects on
 * the consumer's side.
 */
final class EventRing {
    private static final int[] NO_IDS = new int[0];
    private static final float[] NO_LOGPROBS = new float[0];

    private final NewsRound round;
    /** The event in a slot; null for a plain token, whose id, choice and log-probability are in the arrays below. */
    private final @Nullable TokenEvent[] events;

    private final long[] tokens;
    private final float[] logprobs;
    // What is written before one of these is seen by whoever has read it since.
    private volatile long taken;
    private volatile long put;
    private volatile @Nullable Thread reader;
    private volatile @Nullable Runnable onNews;
    /** Whether the reader has yet to be told. Engine thread. */
    private boolean untold;

    /** @param round tells the reader, when the time has come */
    EventRing(int capacity, NewsRound round) {
        this.round = round;
        int slots = Integer.highestOneBit(Math.max(2, capacity) - 1) * 2;
        events = new @Nullable TokenEvent[slots];
        tokens = new long[slots];
        logprobs = new float[slots];
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
        events[slot(at)] = event;
        publish(at + 1);
    }

    /** A token after which its choice goes on. Engine thread. @throws IllegalStateException as {@link #put} */
    void putToken(int choice, int id, float logprob) {
        long at = put;
        int slot = slot(at);
        tokens[slot] = (long) id << Integer.SIZE | choice;
        logprobs[slot] = logprob;
        publish(at + 1);
    }

    private int slot(long at) {
        if (at - taken >= events.length) {
            throw new IllegalStateException("more than " + events.length + " unread events");
        }
        return (int) at & events.length - 1;
    }

    private void publish(long end) {
        put = end;
        if (!untold) {
            untold = true;
            round.add(this);
        }
    }

    /** Wakes the reader. Engine thread. */
    void tell() {
        untold = false;
        Thread thread = reader;
        if (thread != null) {
            LockSupport.unpark(thread);
        }
        Runnable action = onNews;
        if (action != null) {
            action.run();
        }
    }

    /** Takes the action that is run from now on when events have been put. Consumer. */
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
        int slot = (int) at & events.length - 1;
        TokenEvent event = events[slot];
        if (event == null) {
            TokenEvent.Scored token = plain((int) (tokens[slot] >>> Integer.SIZE), logprobs[slot]);
            event = new TokenEvent.Token((int) tokens[slot], token, null);
        }
        events[slot] = null;
        taken = at + 1;
        return event;
    }

    /** A token without alternatives. */
    static TokenEvent.Scored plain(int id, float logprob) {
        return new TokenEvent.Scored(id, logprob, NO_IDS, NO_LOGPROBS);
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
