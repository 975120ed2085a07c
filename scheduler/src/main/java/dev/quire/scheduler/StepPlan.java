package dev.quire.scheduler;

import dev.quire.kvcache.BlockCopies;
import dev.quire.model.Batch;
import dev.quire.model.ModelRunner;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A step being planned or in flight: its rows, and what is left of its budgets. Reused; engine thread. */
final class StepPlan implements StepBuilder {
    private static final int[] NO_COPIES = new int[0];
    /** Rows that kernels multiply at once: what a step has beyond a multiple of it costs nearly as much as so many. */
    private static final int ROWS_TOGETHER = 8;

    final List<PlanEntry> entries = new ArrayList<>();
    final List<Batch.Filler> fillers = new ArrayList<>();
    final BlockCopies copies = new BlockCopies();
    /** Rows of a last token, and tokens in the other rows; filler among both. */
    int singles;

    int promptTokens;
    /** Tokens of filler, and how many of them are not single ones. */
    int padding;

    int promptPadding;
    /** Slots of the KV cache that count as allocated; 0 = those of the blocks that are. */
    long reserved;
    /** How long to wait with the next plan when this one is empty; 0 = not at all. */
    long holdNanos;
    /** Rows with guessed tokens, and how many those are. */
    int guessing;

    int guesses;

    /** What the device makes of it; null when nothing is in flight. */
    ModelRunner.@Nullable Pending pending;

    /** Pairs of blocks that it copies, and that it swaps in, once launched. */
    int[] copied = NO_COPIES;

    int[] swappedIn = NO_COPIES;
    long launchedNanos;

    /** All entries there are, the first of them in use. Nothing is allocated for a step once there are enough. */
    private final List<PlanEntry> pool = new ArrayList<>();

    private int entriesUsed;
    private final List<Batch.Row> rows = new ArrayList<>();
    private final Batch uncopied = new Batch(rows, NO_COPIES, fillers);

    private final EngineState state;
    private final StepCost cost;
    private final Admission admission;
    private boolean moved;
    private long number;
    private int tokensLeft;
    private int rowsLeft;
    private int drawsLeft;
    private int extrasLeft;
    private int scoresLeft;
    private int chunk;

    StepPlan(EngineState state, StepCost cost) {
        this.state = state;
        this.cost = cost;
        admission = new Admission(state);
    }

    /** Starts an empty plan. */
    void begin(long number) {
        pending = null;
        copied = NO_COPIES;
        swappedIn = NO_COPIES;
        this.number = number;
        entries.clear();
        entriesUsed = 0;
        fillers.clear();
        admission.begin();
        moved = false;
        singles = 0;
        promptTokens = 0;
        padding = 0;
        promptPadding = 0;
        reserved = 0;
        holdNanos = 0;
        guessing = 0;
        guesses = 0;
        tokensLeft = Math.min(state.config.maxBatchedTokens(), state.limits.maxTokens());
        rowsLeft = Math.min(state.config.maxSequences(), state.limits.maxSequences());
        drawsLeft = state.limits.maxDraws();
        extrasLeft = state.limits.maxExtras();
        scoresLeft = state.limits.maxScores();
        chunk = -1;
    }

    /** Moves those admitted and preempted to where they belong. */
    void finish() {
        if (moved) {
            keep(state.running, Sequence.State.RUNNING, state.waiting);
        }
        if (admission.any()) {
            keep(state.waiting, Sequence.State.WAITING, state.running);
            admission.begin();
        }
    }

    private static void keep(List<Sequence> from, Sequence.State kept, List<Sequence> others) {
        int size = 0;
        for (int i = 0; i < from.size(); i++) {
            Sequence sequence = from.get(i);
            if (sequence.state == kept) {
                from.set(size++, sequence);
            } else {
                others.add(sequence);
            }
        }
        from.subList(size, from.size()).clear();
    }

    /** Takes out the rows of sequences that have ended or lost their blocks since, and with the last of them the filler. */
    void dropEnded() {
        boolean any = !entries.isEmpty();
        for (int i = entries.size() - 1; i >= 0; i--) {
            PlanEntry entry = entries.get(i);
            if (!entry.current()) {
                count(entry, -1);
                Settlement.lose(entry);
                entries.remove(i);
            }
        }
        if (any && entries.isEmpty()) {
            fillers.clear();
            singles = 0;
            promptTokens = 0;
            padding = 0;
            promptPadding = 0;
        }
    }

    /**
     * Whether it can be launched before the step in flight has ended, with rows that carry that step's tokens: no draw
     * counts those tokens, and each row draws one.
     */
    boolean canCarry(StepPlan before) {
        for (int i = 0; i < entries.size(); i++) {
            PlanEntry entry = entries.get(i);
            if (entry.sequence.counts != null && entry.carries()) {
                return false;
            }
        }
        return !entries.isEmpty() && before.guesses == 0;
    }

    /** Lets rows take their last tokens from the samples of the step launched before. */
    void carry() {
        for (int i = 0; i < entries.size(); i++) {
            PlanEntry entry = entries.get(i);
            if (entry.carries()) {
                entry.row.carry(entry.sequence.sample);
            }
        }
    }

    /** Says that the step before has been settled: all tokens are known. */
    void know() {
        for (int i = 0; i < entries.size(); i++) {
            entries.get(i).row.know();
        }
    }

    /** Says where the sequences' tokens are drawn. */
    void number() {
        int sample = 0;
        for (int i = 0; i < entries.size(); i++) {
            Batch.Row row = entries.get(i).row;
            entries.get(i).sequence.sample = sample + row.scoresTo() - row.scoresFrom();
            sample += row.outputs();
        }
    }

    private void count(PlanEntry entry, int sign) {
        if (entry.single) {
            singles += sign;
        } else {
            promptTokens += sign * (entry.row.to() - entry.row.from());
        }
    }

    int tokens() {
        return singles + promptTokens + guesses;
    }

    /** Guessed tokens that the step can still take: none where prompts are, or wait for a step without them. */
    int guessesLeft() {
        return promptTokens > 0 || chunk == 0 ? 0 : Math.min(tokensLeft, scoresLeft);
    }

    /**
     * Puts the row of an entry where its sequence is now, and guesses behind it: up to so many, which the sequence's
     * tokens hold.
     *
     * @return false when blocks are missing; nothing has changed then
     */
    boolean place(int index, int wanted) {
        Sequence s = entries.get(index).sequence;
        int from = s.length - 1;
        int drafts = affordable(s, wanted);
        int to = from + 1 + drafts;
        if (!state.cache.grow(s.blocks, from, to, copies)) {
            return false;
        }
        PlanEntry entry = entries.get(index);
        entry.set(s, from, to, s.drawsAfter(s.generated));
        entry.row.guess(drafts);
        entry.single = true;
        guessing += drafts > 0 ? 1 : 0;
        guesses += drafts;
        tokensLeft -= drafts;
        scoresLeft -= drafts;
        extrasLeft -= drafts * s.nextDrawExtras();
        return true;
    }

    /** Guesses must leave a block for everybody else's next token, all to those who wait for blocks, and lists for the draws. */
    private int affordable(Sequence s, int wanted) {
        int extras = s.nextDrawExtras();
        int drafts = extras == 0 ? wanted : Math.min(wanted, extrasLeft / extras);
        int more = state.cache.blocksFor(s.length + drafts) - s.blocks.size();
        boolean wantedByNone = chunk < 0 && state.cache.available() - more >= state.running.size();
        if (drafts == 0 || more <= 0 || wantedByNone) {
            return drafts;
        }
        return Math.clamp((long) s.blocks.size() * state.cache.blockTokens() - s.length, 0, drafts);
    }

    /** Takes out a row for which there is no room now: its sequence waits for the next step. */
    void retract(int index) {
        PlanEntry entry = entries.remove(index);
        count(entry, -1);
        entry.sequence.planned--;
        entry.sequence.ahead--;
    }

    boolean isEmpty() {
        return entries.isEmpty() && fillers.isEmpty();
    }

    @Override
    public List<Sequence> running() {
        return state.running;
    }

    @Override
    public List<Sequence> waiting() {
        return state.waiting;
    }

    @Override
    public int sequencesLeft() {
        return rowsLeft;
    }

    @Override
    public int preemptionLimit() {
        return state.config.preemptionLimit();
    }

    @Override
    public boolean preempted() {
        return moved;
    }

    @Override
    public boolean decided(SequenceView view) {
        return ((Sequence) view).decidedIn == number;
    }

    @Override
    public int room(SequenceView view) {
        Sequence s = (Sequence) view;
        if (s.decidedIn == number || rowsLeft == 0) {
            return 0;
        }
        int tokens = Math.min(s.remaining(), tokensLeft);
        if (s.remaining() > 1) {
            tokens = Math.min(tokens, chunkLeft());
        }
        return tokens <= 0 ? 0 : withinOutputs(s, s.planned, tokens);
    }

    // Rows of one token go first, so at the first question for more all of them are known.
    private int chunkLeft() {
        if (chunk < 0) {
            chunk = cost.chunk(singles > 0 ? singles : awaited(), newcomers(), tokensLeft);
            int over = (tokens() + chunk) % ROWS_TOGETHER;
            chunk -= over * ROWS_TOGETHER <= chunk ? over : 0;
        }
        return chunk - promptTokens;
    }

    /** Sequences that this step could bring closer to their next token but not, as they are, to it. */
    private int newcomers() {
        int newcomers = state.waiting.size();
        for (int i = 0; i < state.running.size(); i++) {
            newcomers += state.running.get(i).remaining() > 1 ? 1 : 0;
        }
        return Math.min(newcomers, rowsLeft);
    }

    /** Choices that can go on only when the step in flight has ended: they wait for this one as others do. */
    private int awaited() {
        int awaited = 0;
        for (int i = 0; i < state.running.size(); i++) {
            Sequence s = state.running.get(i);
            awaited += s.waitsForChoices() ? s.request.live : 0;
        }
        return awaited;
    }

    /** Cuts a row down to what the limits of scores, draws and their lists leave. */
    private int withinOutputs(Sequence s, int from, int wanted) {
        int tokens = wanted;
        if (s.request.scoring(s.scored)) {
            int first = Math.max(from, s.scored);
            int open = s.request.spec.prompt().length - 1 - first;
            if (open > scoresLeft) {
                tokens = Math.min(tokens, first - from + scoresLeft);
            }
        }
        boolean last = from + tokens == s.length + s.ahead;
        boolean drawable = s.nextDrawCount() <= drawsLeft && s.nextDrawExtras() <= extrasLeft;
        return last && !drawable ? tokens - 1 : tokens;
    }

    @Override
    public boolean schedule(SequenceView view, int tokens) {
        Sequence s = (Sequence) view;
        if (tokens < 1 || tokens > room(s)) {
            throw new IllegalArgumentException(tokens + " tokens, " + room(s) + " fit the step");
        }
        boolean waits = s.state == Sequence.State.WAITING;
        if (waits && !admission.attach(s)) {
            return false;
        }
        int count = withinOutputs(s, s.planned, Math.min(tokens, s.target() - s.planned));
        if (count < 1 || !state.cache.grow(s.blocks, s.planned, s.planned + count, copies)) {
            if (waits) {
                admission.detach(s);
            }
            return false;
        }
        if (waits) {
            admission.enter(s);
        }
        add(s, count);
        return true;
    }

    private void add(Sequence s, int count) {
        int from = s.planned;
        int to = from + count;
        boolean draws = to == s.length + s.ahead;
        List<Batch.Draw> wanted = draws ? s.nextDraws() : List.of();
        if (to > s.length) {
            s.reserve(to);
        }
        PlanEntry entry = newEntry(s);
        entry.set(s, from, to, wanted);
        entry.single = count == 1 && to == s.target();
        entries.add(entry);
        count(entry, 1);
        if (s.request.scoring(s.scored)) {
            score(s, entry.row);
        }
        extrasLeft -= wanted.isEmpty() ? 0 : s.nextDrawExtras();
        s.planned = to;
        s.ahead += wanted.isEmpty() ? 0 : 1;
        s.decidedIn = number;
        tokensLeft -= count;
        rowsLeft--;
        drawsLeft -= wanted.size();
    }

    private PlanEntry newEntry(Sequence s) {
        if (entriesUsed == pool.size()) {
            pool.add(new PlanEntry(s));
        }
        return pool.get(entriesUsed++);
    }

    private void score(Sequence s, Batch.Row row) {
        int from = Math.max(row.from(), s.scored);
        int to = Math.max(from, Math.min(row.to(), s.request.spec.prompt().length - 1));
        row.score(from, to);
        s.scored = Math.max(s.scored, to);
        scoresLeft -= to - from;
    }

    /** The plan for the device, with what must be swapped and copied first; valid until another plan is begun here. */
    Batch batch(int[] pairs, int[] swapsOut, int[] swapsIn) {
        rows.clear();
        for (int i = 0; i < entries.size(); i++) {
            rows.add(entries.get(i).row);
        }
        boolean moves = pairs.length > 0 || swapsOut.length > 0 || swapsIn.length > 0;
        return moves ? new Batch(rows, pairs, fillers, swapsOut, swapsIn) : uncopied;
    }

    @Override
    public void preempt(SequenceView view) {
        Sequence s = (Sequence) view;
        if (s.state != Sequence.State.RUNNING || s.decidedIn == number) {
            throw new IllegalStateException("only a running sequence that the step has not scheduled can be preempted");
        }
        state.takeBlocks(s);
        s.decidedIn = number;
        moved = true;
    }

    @Override
    public int pad(int from, int to, boolean drawn) {
        int room = Math.min(tokensLeft, drawn ? drawsLeft : chunkLeft());
        int count = Math.min(room, to - from);
        if (rowsLeft == 0 || count <= 0) {
            return 0;
        }
        // A rectangle may be longer than any sequence can be: what lies beyond is computed at the end.
        int longest = Math.min(state.limits.maxModelLen(), state.cache.total() * state.cache.blockTokens());
        int begin = Math.min(from, longest - count);
        fillers.add(new Batch.Filler(begin, begin + count, drawn));
        singles += drawn ? count : 0;
        promptTokens += drawn ? 0 : count;
        promptPadding += drawn ? 0 : count;
        padding += count;
        tokensLeft -= count;
        rowsLeft--;
        drawsLeft -= drawn ? 1 : 0;
        return count;
    }

    @Override
    public boolean reserve(long slots) {
        reserved = slots;
        return slots <= (long) state.cache.total() * state.cache.blockTokens();
    }

    @Override
    public void hold(long nanos) {
        holdNanos = nanos;
    }
}
