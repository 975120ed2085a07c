package dev.quire.server.openai;

import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The requests that are generating now, so that a server that goes down can wait for them and then end them. */
public final class LiveRequests {
    private final Set<Generations> running = ConcurrentHashMap.newKeySet();
    private volatile boolean ended;

    void add(Generations generations) {
        running.add(generations);
        if (ended) {
            generations.closeStreams();
        }
    }

    void remove(Generations generations) {
        running.remove(generations);
        synchronized (this) {
            notifyAll();
        }
    }

    /** Waits until nothing generates, or the time is over; whether nothing does. */
    public boolean awaitNone(Duration patience) throws InterruptedException {
        long deadline = System.nanoTime() + patience.toNanos();
        synchronized (this) {
            while (!running.isEmpty()) {
                long left = deadline - System.nanoTime();
                if (left <= 0) {
                    return false;
                }
                wait(left / 1_000_000 + 1);
            }
        }
        return true;
    }

    /** Requests that are generating. */
    public int count() {
        return running.size();
    }

    /** Ends all of them: their clients get an error, not a text that looks complete. */
    public void endAll() {
        ended = true;
        running.forEach(Generations::closeStreams);
    }

    /** Whether what ends now ends because the server does. */
    boolean ended() {
        return ended;
    }
}
