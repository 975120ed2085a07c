package dev.quire.scheduler;

import java.util.ArrayList;
import java.util.List;

/** Rests requests whose consumers do not keep up, and gives up on those that have stopped reading. Engine thread. */
final class SlowReaders {
    private final EngineState state;
    private final List<ActiveRequest> paused = new ArrayList<>();

    SlowReaders(EngineState state) {
        this.state = state;
    }

    boolean anyPaused() {
        return !paused.isEmpty();
    }

    /** Looks at all rings. */
    void look() {
        for (int i = paused.size() - 1; i >= 0; i--) {
            review(paused.get(i), i);
        }
        List<Sequence> running = state.running;
        for (int i = 0; i < running.size(); i++) {
            ActiveRequest request = running.get(i).request;
            if (!request.paused && request.ring.unread() > state.config.maxUnread()) {
                pause(request);
            }
        }
    }

    private void pause(ActiveRequest request) {
        request.paused = true;
        // Only a reader that sees the pause wakes the engine when it has caught up.
        if (request.ring.unread() <= resumeAt(state.config)) {
            request.paused = false;
            return;
        }
        request.pausedNanos = state.now;
        request.takenAtPause = request.ring.taken();
        paused.add(request);
    }

    private void review(ActiveRequest request, int at) {
        if (request.finished) {
            paused.remove(at);
        } else if (request.ring.unread() <= resumeAt(state.config)) {
            request.paused = false;
            paused.remove(at);
        } else if (request.ring.taken() != request.takenAtPause) {
            request.takenAtPause = request.ring.taken();
            request.pausedNanos = state.now;
        } else if (state.now - request.pausedNanos >= state.config.slowReaderNanos()) {
            paused.remove(at);
            state.fail(
                    request,
                    "The client has not read for " + state.config.slowReaderNanos() / 1_000_000_000 + " seconds.");
        }
    }

    /** Unread events at which a paused request goes on. */
    static int resumeAt(EngineConfig config) {
        return config.maxUnread() / 2;
    }
}
