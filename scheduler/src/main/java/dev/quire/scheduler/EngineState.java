package dev.quire.scheduler;

import dev.quire.kvcache.BlockTable;
import dev.quire.kvcache.KvCache;
import dev.quire.model.ModelRunner;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Requests, sequences and blocks, and how they begin and end. Engine thread. */
final class EngineState {
    private static final Logger LOG = LoggerFactory.getLogger(EngineState.class);

    final EngineConfig config;
    final ModelRunner.Limits limits;
    final KvCache cache;
    final QueueGate gate;
    final ListenerCalls news;
    final NewsRound readers = new NewsRound();

    final List<ActiveRequest> requests = new ArrayList<>();
    final List<Sequence> running = new ArrayList<>();
    final List<Sequence> waiting = new ArrayList<>();
    long now;
    // Since the last step's statistics:
    int preemptions;
    int queriedTokens;
    int cachedTokens;
    int hostQueriedTokens;
    int hostCachedTokens;
    int swappedOut;
    int swappedIn;
    long kvRepairs;

    EngineState(EngineConfig config, ModelRunner.Limits limits, QueueGate gate, EngineListener listener) {
        this.config = config;
        this.limits = limits;
        this.gate = gate;
        news = new ListenerCalls(listener);
        cache = new KvCache(
                limits.kvBlocks(),
                limits.hostBlocks(),
                limits.blockTokens(),
                config.prefixCaching(),
                new java.util.Random().nextLong());
    }

    /** Positions that the blocks of running sequences have room for; a shared block counts for each that holds it. */
    long allocatedSlots() {
        long blocks = 0;
        for (int i = 0; i < running.size(); i++) {
            blocks += running.get(i).blocks.size();
        }
        return blocks * cache.blockTokens();
    }

    /** How many of them hold a position that was given to a step. */
    long filledSlots() {
        long slots = 0;
        for (int i = 0; i < running.size(); i++) {
            slots += running.get(i).planned;
        }
        return slots;
    }

    /** Puts a request into the queue. */
    void accept(ActiveRequest request) {
        requests.add(request);
        Sequence first = first(request);
        waiting.add(first);
    }

    static Sequence first(ActiveRequest request) {
        Sequence first = request.choices[0];
        if (first == null) {
            throw new IllegalStateException("a request without its first choice");
        }
        return first;
    }

    /** Lets the further choices begin with the blocks that the first has computed. */
    void fork(ActiveRequest request) {
        request.forked = true;
        Sequence first = first(request);
        for (int c = 1; c < request.spec.n(); c++) {
            if (request.ended(c)) {
                continue;
            }
            Sequence child = first.child(c);
            request.choices[c] = child;
            child.state = first.state;
            child.scored = first.scored;
            if (first.state == Sequence.State.RUNNING) {
                cache.fork(first.blocks, child.blocks);
                child.planned = first.planned;
                running.add(child);
            } else {
                waiting.add(child);
            }
        }
    }

    /** The first choice was aborted before the others began; they have begun now. */
    void dropFirst(ActiveRequest request) {
        drop(first(request));
    }

    /** The first token of a request is drawn, or there will be none. */
    void leavePrefill(ActiveRequest request) {
        if (request.inPrefill) {
            request.inPrefill = false;
            gate.leavePrompt(request.spec.prompt().length);
        }
    }

    /** Ends a choice whose last event has been put, and with the last one the request. */
    void endChoice(ActiveRequest request, int choice, FinishReason reason) {
        Sequence sequence = request.choices[choice];
        // The first choice computes the prompt for all: it lives on until the others have begun.
        boolean stillNeeded = choice == 0 && !request.forked && request.live > 1;
        if (sequence != null && !stillNeeded) {
            drop(sequence);
        }
        gate.leave(1);
        if (request.end(choice)) {
            for (Sequence other : request.choices) {
                if (other != null) {
                    drop(other);
                }
            }
            request.ring.put(new TokenEvent.Finished(request.usage()));
            finish(request, reason);
        }
    }

    /** Ends a choice at its consumer's wish, if it has not ended. */
    void end(ActiveRequest request, int choice, FinishReason reason) {
        if (!request.finished && !request.ended(choice)) {
            request.ring.put(new TokenEvent.ChoiceEnded(choice, reason));
            endChoice(request, choice, reason);
        }
    }

    /** Ends a request with an error, if it has not ended. */
    void fail(ActiveRequest request, String message) {
        if (request.finished) {
            return;
        }
        for (Sequence sequence : request.choices) {
            if (sequence != null) {
                drop(sequence);
            }
        }
        gate.leave(request.live);
        request.ring.put(new TokenEvent.Failed(message));
        finish(request, FinishReason.ERROR);
    }

    private void finish(ActiveRequest request, FinishReason reason) {
        leavePrefill(request);
        request.finished = true;
        requests.remove(request);
        news.finished(stats(request, reason));
    }

    private EngineListener.RequestStats stats(ActiveRequest r, FinishReason reason) {
        boolean scheduled = r.lookedUp;
        boolean drawn = r.completionTokens > 0;
        return new EngineListener.RequestStats(
                r.spec.n(),
                r.maxTokens,
                r.longestChoice,
                r.usage(),
                r.preemptions,
                (scheduled ? r.scheduledNanos : now) - r.arrivedNanos,
                drawn ? r.firstTokenNanos - r.scheduledNanos : scheduled ? now - r.scheduledNanos : 0,
                drawn ? r.lastTokenNanos - r.firstTokenNanos : 0,
                drawn ? r.firstTokenNanos - r.arrivedNanos : 0,
                now - r.arrivedNanos,
                reason);
    }

    private void drop(Sequence sequence) {
        switch (sequence.state) {
            case RUNNING -> running.remove(sequence);
            case WAITING -> waiting.remove(sequence);
            case ENDED -> {
                return;
            }
        }
        sequence.state = Sequence.State.ENDED;
        cache.release(sequence.blocks);
    }

    /** Takes a running sequence's blocks away; who calls moves it to those waiting. */
    void takeBlocks(Sequence s) {
        cache.release(s.blocks);
        s.state = Sequence.State.WAITING;
        s.epoch++;
        s.planned = 0;
        s.preemptions++;
        s.request.preemptions++;
        preemptions++;
    }

    /**
     * Forgets all that depends on swaps that failed or cannot be made: the host's blocks, and those that came from there.
     * Sequences that hold one of the latter start again; what they are planned for is no longer current.
     *
     * @param failedIn pairs (host block, device block) of the step that failed
     */
    void forgetSwapped(int[] failedIn) {
        int[] lost = cache.forgetSwapped(failedIn);
        for (int i = running.size() - 1; i >= 0 && lost.length > 0; i--) {
            Sequence s = running.get(i);
            if (KvCache.holdsAny(s.blocks, lost)) {
                restart(s);
            }
        }
    }

    /** Lets a running sequence begin again, before all that wait. */
    void restart(Sequence s) {
        running.remove(s);
        takeBlocks(s);
        waiting.addFirst(s);
    }

    /** Whether the block counts are right; null, or what is wrong. */
    @Nullable
    String checkBlocks() {
        return cache.check(tables());
    }

    /** Checks the block counts and sets them right when they are not. Nothing may be in flight. */
    void repairBlocks() {
        String fault = checkBlocks();
        if (fault != null) {
            kvRepairs++;
            LOG.error("the KV cache's counts were wrong and have been set right: {}", fault);
            forgetSwapped(new int[0]);
            cache.repair(tables());
        }
    }

    private List<BlockTable> tables() {
        List<BlockTable> tables = new ArrayList<>();
        for (Sequence sequence : running) {
            tables.add(sequence.blocks);
        }
        return tables;
    }
}
