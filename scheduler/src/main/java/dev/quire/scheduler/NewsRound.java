package dev.quire.scheduler;

import java.util.ArrayList;
import java.util.List;

/**
 * The readers to be told that there are events. Told all at once, when the device has its next step: a reader that wakes
 * takes a core, and the device should be at work by then. Engine thread.
 */
final class NewsRound {
    private final List<EventRing> rings = new ArrayList<>();

    /** Adds a ring that is not in the round yet. */
    void add(EventRing ring) {
        rings.add(ring);
    }

    /** Tells all. */
    void tell() {
        for (int i = 0; i < rings.size(); i++) {
            rings.get(i).tell();
        }
        rings.clear();
    }
}
