package dev.quire.scheduler;

import dev.quire.kvcache.BlockTable;
import org.jspecify.annotations.Nullable;

/** An accepted request as the engine thread sees it. Other threads touch the ring and the volatile fields only. */
final class ActiveRequest {
    final GenerationRequest spec;
    final EventRing ring;
    final long arrival;
    final long arrivedNanos;
    /** Output tokens of each choice, after clamping to the context. */
    final int maxTokens;

    /** By choice; all but the first are null until the first tokens are drawn. */
    final @Nullable Sequence[] choices;

    private final boolean[] ended;
    int live;
    boolean forked;
    /** Whether the prompt still counts as waiting for its first token. */
    boolean inPrefill = true;

    int cachedTokens;
    boolean lookedUp;
    int completionTokens;
    int longestChoice;
    int preemptions;
    long scheduledNanos;
    long firstTokenNanos;
    long lastTokenNanos;

    /** Set while the reader is too slow; the consumer then wakes the engine when it has caught up. */
    volatile boolean paused;

    long pausedNanos;
    long takenAtPause;
    volatile boolean finished;

    ActiveRequest(
            GenerationRequest spec,
            int maxTokens,
            long arrival,
            long arrivedNanos,
            EngineConfig config,
            NewsRound news) {
        this.spec = spec;
        this.maxTokens = maxTokens;
        this.arrival = arrival;
        this.arrivedNanos = arrivedNanos;
        // Two steps may be under way when the reader is found slow; then each choice ends, then the request.
        int perStep = 1 + config.speculation().maxTokens();
        ring = new EventRing(config.maxUnread() + (2 * perStep + 2) * spec.n() + 4, news);
        choices = new @Nullable Sequence[spec.n()];
        ended = new boolean[spec.n()];
        live = spec.n();
        choices[0] = new Sequence(this, 0, spec.prompt(), spec.prompt().length, new BlockTable());
        forked = spec.n() == 1;
    }

    boolean ended(int choice) {
        return ended[choice];
    }

    /** Notes the end of a choice that has not ended; true when it was the last. */
    boolean end(int choice) {
        ended[choice] = true;
        return --live == 0;
    }

    /** Whether the prompt is scored, and not yet to its end. */
    boolean scoring(int scored) {
        return spec.params().promptLogprobs() && scored < spec.prompt().length - 1;
    }

    Usage usage() {
        return new Usage(spec.prompt().length, completionTokens, cachedTokens);
    }
}
