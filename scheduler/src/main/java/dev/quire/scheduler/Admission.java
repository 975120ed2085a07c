package dev.quire.scheduler;

import dev.quire.kvcache.KvCache;
import java.util.ArrayList;
import java.util.List;

/** Whom a step lets in: newcomers get the blocks of a known prefix when there is room for the rest. Engine thread. */
final class Admission {
    private final EngineState state;
    /** Let in by this step, and not among the running ones yet. */
    private final List<Sequence> admitted = new ArrayList<>();

    /** Of the sequence attached last, tokens that the host had. */
    private int fetched;

    Admission(EngineState state) {
        this.state = state;
    }

    void begin() {
        admitted.clear();
    }

    boolean any() {
        return !admitted.isEmpty();
    }

    /** Gives a waiting sequence the prefix that is known, if there are blocks for the rest. */
    boolean attach(Sequence s) {
        KvCache cache = state.cache;
        // A position that is to be scored must be computed.
        int shareable = s.request.scoring(s.scored) ? 1 : s.length;
        s.planned = cache.attach(s.blocks, s.tokens, shareable, s.request.spec.cacheSalt());
        if (fits(s)) {
            int onDevice = s.planned;
            s.planned = cache.fetch(s.blocks, s.tokens, shareable);
            fetched = s.planned - onDevice;
            return true;
        }
        detach(s);
        return false;
    }

    void detach(Sequence s) {
        state.cache.release(s.blocks);
        s.planned = 0;
    }

    /**
     * Whether a newcomer can be computed to its next token without taking what those running need to get to theirs. One
     * that was preempted too often already comes back only when everybody's last token has a place.
     */
    private boolean fits(Sequence s) {
        boolean careful = s.preemptions >= state.config.preemptionLimit();
        int needed = missing(s, careful);
        int others = 0;
        for (int i = 0; i < state.running.size(); i++) {
            Sequence other = state.running.get(i);
            if (other.state == Sequence.State.RUNNING) {
                others++;
                needed += missing(other, careful);
            }
        }
        for (int i = 0; i < admitted.size(); i++) {
            others++;
            needed += missing(admitted.get(i), careful);
        }
        int reserve = careful ? 0 : Math.min(others, state.cache.total() / 16);
        return others == 0 || needed + reserve <= state.cache.available();
    }

    private int missing(Sequence s, boolean careful) {
        int positions = careful ? s.peak() : Math.min(s.length + s.ahead + 1, s.peak());
        return Math.max(0, state.cache.blocksFor(positions) - s.blocks.size());
    }

    /** Notes that a sequence which was attached has a row in the step. */
    void enter(Sequence s) {
        s.state = Sequence.State.RUNNING;
        admitted.add(s);
        ActiveRequest request = s.request;
        if (!request.lookedUp) {
            request.lookedUp = true;
            request.cachedTokens = s.planned;
            request.scheduledNanos = state.now;
            if (!request.scoring(s.scored)) {
                state.cache.countLookup(s.length, s.planned);
                state.queriedTokens += s.length;
                state.cachedTokens += s.planned - fetched;
                if (state.limits.hostBlocks() > 0) {
                    state.hostQueriedTokens += s.length - s.planned + fetched;
                    state.hostCachedTokens += fetched;
                }
            }
        }
    }
}
