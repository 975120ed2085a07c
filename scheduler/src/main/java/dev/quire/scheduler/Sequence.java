package dev.quire.scheduler;

import dev.quire.kvcache.BlockTable;
import dev.quire.model.Batch;
import dev.quire.model.sampling.TokenCounts;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One choice of a request: its tokens, its blocks and how far it is. Positions up to {@link #planned} have been given to
 * a step; tokens up to {@link #length} are known; {@link #ahead} more are being drawn by steps not yet settled. Engine
 * thread.
 */
final class Sequence implements SequenceView {
    private static final int[] NONE_FORBIDDEN = new int[0];

    enum State {
        WAITING,
        RUNNING,
        ENDED
    }

    final ActiveRequest request;
    final int choice;
    final BlockTable blocks;
    final @Nullable TokenCounts counts;
    /** Guesses the next tokens; null until somebody asks. */
    @Nullable
    Drafter drafter;

    private final List<Batch.Draw> early;
    private final List<Batch.Draw> late;

    State state = State.WAITING;
    /** Counts how often the blocks were taken away: results of a step launched before belong to another life. */
    int epoch;

    int[] tokens;
    int length;
    int ahead;
    /** Where the step launched last draws its next token: number of the sample. */
    int sample;

    int planned;
    int generated;
    /** Prompt positions below have been given to a step for scoring. */
    int scored;

    int preemptions;
    long lastTokenNanos;
    /** Number of the plan that scheduled or preempted it last. */
    long decidedIn = -1;

    Sequence(ActiveRequest request, int choice, int[] known, int length, BlockTable blocks) {
        this.request = request;
        this.choice = choice;
        this.blocks = blocks;
        this.length = length;
        tokens = known;
        counts = request.spec.params().usesCounts() ? countPrompt(request.spec.prompt()) : null;
        early = draws(request.spec.endTokens());
        late = draws(NONE_FORBIDDEN);
    }

    private static TokenCounts countPrompt(int[] prompt) {
        TokenCounts counts = new TokenCounts();
        for (int token : prompt) {
            counts.addPrompt(token);
        }
        return counts;
    }

    private List<Batch.Draw> draws(int[] forbidden) {
        int n = choice == 0 ? request.spec.n() : 1;
        List<Batch.Draw> draws = new ArrayList<>(n);
        for (int stream = choice; stream < choice + n; stream++) {
            draws.add(new Batch.Draw(request.spec.params(), stream, counts, forbidden));
        }
        return draws;
    }

    /** A further choice that starts from this one's prompt. */
    Sequence child(int choice) {
        return new Sequence(request, choice, request.spec.prompt(), request.spec.prompt().length, new BlockTable());
    }

    /** What to draw from the next logits: for the first token of several choices all of them at once. */
    List<Batch.Draw> nextDraws() {
        return drawsAfter(generated + ahead);
    }

    /** What to draw when so many tokens have been. */
    List<Batch.Draw> drawsAfter(int drawn) {
        if (request.maxTokens == 0) {
            return List.of();
        }
        List<Batch.Draw> draws = drawn < request.spec.minTokens() ? early : late;
        return request.forked && draws.size() > 1 ? draws.subList(0, 1) : draws;
    }

    /** Draws that {@link #nextDraws} would give. */
    int nextDrawCount() {
        return request.maxTokens == 0 ? 0 : request.forked ? 1 : request.spec.n();
    }

    /** Biases or counted tokens, whichever are more, that {@link #nextDraws} would list. */
    int nextDrawExtras() {
        int biases = request.spec.params().biasTokens().length + request.spec.endTokens().length;
        int counted = counts == null ? 0 : counts.size() + ahead;
        return nextDrawCount() * Math.max(biases, counted);
    }

    /** Makes room for tokens up to {@code to} without the array moving afterwards. */
    void reserve(int to) {
        if (tokens.length < to || tokens == request.spec.prompt()) {
            int most = request.spec.prompt().length + request.maxTokens;
            tokens = Arrays.copyOf(tokens, Math.max(to, Math.min(most, Math.max(64, to + to / 2))));
        }
    }

    void append(int token) {
        reserve(length + 1);
        tokens[length++] = token;
        generated++;
        if (counts != null) {
            counts.addOutput(token);
        }
    }

    @Override
    public int peak() {
        return request.spec.prompt().length + Math.max(0, request.maxTokens - 1);
    }

    /** Positions that will be computed before the next token is there. */
    int target() {
        return Math.min(length + ahead, peak());
    }

    @Override
    public long priority() {
        return request.spec.priority();
    }

    @Override
    public long arrival() {
        return request.arrival;
    }

    @Override
    public int choice() {
        return choice;
    }

    @Override
    public int remaining() {
        if (state == State.ENDED || request.paused || waitsForChoices()) {
            return 0;
        }
        return target() - planned;
    }

    /** Whether the first tokens of all choices are being drawn: each goes its own way afterwards. */
    boolean waitsForChoices() {
        return !request.forked && ahead > 0;
    }

    @Override
    public long arrivedNanos() {
        return request.arrivedNanos;
    }

    @Override
    public int preemptions() {
        return preemptions;
    }

    @Override
    public boolean paused() {
        return request.paused;
    }
}
