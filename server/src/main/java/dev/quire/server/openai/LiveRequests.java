package dev.quire.server.openai;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The requests that are generating now, so that a server that goes down can end them. */
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
