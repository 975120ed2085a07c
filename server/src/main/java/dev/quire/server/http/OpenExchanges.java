package dev.quire.server.http;

import java.time.Duration;

/** Counts the requests whose answers are not out yet, so that a server that goes down can wait for them. Any thread. */
final class OpenExchanges {
    private int open;

    synchronized void begun() {
        open++;
    }

    synchronized void ended() {
        open--;
        notifyAll();
    }

    /** Waits until every answer is out, or the time is over; whether every one is. */
    synchronized boolean awaitNone(Duration patience) throws InterruptedException {
        long deadline = System.nanoTime() + patience.toNanos();
        while (open > 0) {
            long left = deadline - System.nanoTime();
            if (left <= 0) {
                return false;
            }
            wait(left / 1_000_000 + 1);
        }
        return true;
    }
}
