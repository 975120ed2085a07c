package dev.quire.scheduler;

import dev.quire.kernels.KernelException;
import dev.quire.kvcache.BlockSwaps;
import dev.quire.model.Batch;
import dev.quire.model.ModelRunner;
import dev.quire.model.StepOutput;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Runs {@link FakeModel} and keeps the content of every block, so that a row that would attend to anything but its own
 * prefix is found at once.
 */
final class FakeRunner implements ModelRunner {
    private final Limits limits;
    private final long[][] contents;
    /** Of the host's blocks. */
    private final long[][] stored;
    /** Blocks swapped in so far. */
    int swappedIn;
    /** Rows that make their batch fail. */
    Predicate<Batch.Row> poison = _ -> false;
    /** Rows that make their batch be refused. */
    Predicate<Batch.Row> unfit = _ -> false;
    /** Batches of more rows are refused, though the limits allow them. */
    int roomForRows = Integer.MAX_VALUE;
    /** Rows whose logits are not finite. */
    Predicate<Batch.Row> notFinite = _ -> false;
    /** Called at each await, may throw. */
    Runnable atAwait = () -> {};
    /** Told of each batch. */
    Consumer<Batch> onLaunch = _ -> {};
    /** Whether the contexts are checked: costs time in proportion to their length. */
    boolean checking = true;

    /** Batches that may be in flight. */
    int queue = 1;

    int inFlight;
    /** Batches launched behind another. */
    int behind;

    private Output last = new Output();
    int steps;
    /** What each step computed, as text, when wanted. */
    @Nullable
    List<String> log;

    FakeRunner(Limits limits) {
        this.limits = limits;
        contents = new long[limits.kvBlocks()][limits.blockTokens()];
        stored = new long[limits.hostBlocks()][limits.blockTokens()];
    }

    static Limits limits(int maxTokens, int maxSequences, int kvBlocks) {
        return limits(maxTokens, maxSequences, kvBlocks, 0);
    }

    static Limits limits(int maxTokens, int maxSequences, int kvBlocks, int hostBlocks) {
        return new Limits(maxTokens, maxSequences, 4096, 64, 2 * maxSequences + 16, 1 << 20, kvBlocks, 4, hostBlocks);
    }

    @Override
    public Limits limits() {
        return limits;
    }

    @Override
    public int queue() {
        return queue;
    }

    @Override
    public Pending launch(Batch batch) {
        require(inFlight < queue, "the queue is full");
        check(batch);
        if (batch.rows().size() > roomForRows || batch.rows().stream().anyMatch(unfit)) {
            throw new IllegalArgumentException("does not fit");
        }
        steps++;
        note(batch);
        onLaunch.accept(batch);
        swap(batch);
        int[] copies = batch.copies();
        for (int i = 0; i < copies.length; i += 2) {
            contents[copies[i + 1]] = contents[copies[i]].clone();
        }
        boolean poisoned = false;
        Output output = new Output();
        for (Batch.Row row : batch.rows()) {
            poisoned |= poison.test(row);
            compute(row);
        }
        for (Batch.Row row : batch.rows()) {
            sample(row, output);
        }
        batch.fillers().stream().filter(Batch.Filler::drawn).forEach(_ -> output.add(0, 0));
        last = output;
        behind += inFlight;
        inFlight++;
        boolean fails = poisoned;
        return () -> {
            inFlight--;
            try {
                atAwait.run();
                if (fails) {
                    throw new KernelException("fake", -5, "poisoned");
                }
            } catch (KernelException e) {
                spoil(batch);
                throw e;
            }
            return output;
        };
    }

    private void swap(Batch batch) {
        int[] out = batch.swapsOut();
        int[] in = batch.swapsIn();
        require(out.length <= 2 * BlockSwaps.MOST && in.length <= 2 * BlockSwaps.MOST, "too many swaps");
        Set<Integer> written = new HashSet<>();
        for (int i = 0; i < out.length; i += 2) {
            require(written.add(out[i + 1]), "two blocks to one of the host");
            stored[out[i + 1]] = contents[out[i]].clone();
        }
        written.clear();
        for (int i = 0; i < in.length; i += 2) {
            require(written.add(in[i + 1]), "two blocks of the host to one");
            contents[in[i + 1]] = stored[in[i]].clone();
        }
        swappedIn += in.length / 2;
    }

    /** What a failed batch has moved or written is not to be relied on. */
    private void spoil(Batch batch) {
        for (int i = 0; i < batch.swapsOut().length; i += 2) {
            Arrays.fill(stored[batch.swapsOut()[i + 1]], -1);
        }
        for (int i = 0; i < batch.swapsIn().length; i += 2) {
            Arrays.fill(contents[batch.swapsIn()[i + 1]], -1);
        }
        int size = limits.blockTokens();
        for (Batch.Row row : batch.rows()) {
            for (int p = row.from(); p < row.to(); p++) {
                contents[row.blocks().block(p / size)][p % size] = -1;
            }
        }
    }

    /** A token of a row: that of the batch before where it is carried. */
    private int token(Batch.Row row, int p) {
        if (p < row.known()) {
            return row.tokens()[p];
        }
        require(p == row.to() - 1 && row.carried() < last.size, "a token that nobody has drawn");
        return Math.max(0, last.tokens[row.carried()]);
    }

    private void note(Batch batch) {
        if (log != null) {
            StringBuilder text = new StringBuilder();
            for (Batch.Row row : batch.rows()) {
                text.append(text.isEmpty() ? "" : " ")
                        .append((char) row.tokens()[0])
                        .append(row.from())
                        .append('-')
                        .append(row.to());
            }
            for (Batch.Filler filler : batch.fillers()) {
                text.append(text.isEmpty() ? "" : " ")
                        .append(filler.drawn() ? '*' : '.')
                        .append(filler.from())
                        .append('-')
                        .append(filler.to());
            }
            log.add(text.toString());
        }
    }

    private void check(Batch batch) {
        int rows = batch.rows().size() + batch.fillers().size();
        require(rows > 0, "no rows");
        require(rows <= limits.maxSequences(), "too many rows");
        int[] copies = batch.copies();
        require(copies.length / 2 <= limits.maxSequences(), "too many copies");
        Set<Integer> sources = new HashSet<>();
        Set<Integer> destinations = new HashSet<>();
        for (int i = 0; i < copies.length; i += 2) {
            sources.add(copies[i]);
            require(destinations.add(copies[i + 1]), "two copies to one block");
        }
        for (int destination : destinations) {
            require(!sources.contains(destination), "the order of copies would matter");
        }
        int tokens = 0;
        int draws = 0;
        int scores = 0;
        int biases = 0;
        for (Batch.Row row : batch.rows()) {
            require(row.from() >= 0 && row.from() < row.to() && row.to() <= row.tokens().length, "bad range");
            require(row.blocks().size() * limits.blockTokens() >= row.to(), "blocks missing");
            tokens += row.to() - row.from();
            draws += row.samples().size();
            for (Batch.Draw draw : row.samples()) {
                biases += (row.drafts() + 1) * (draw.params().biasTokens().length + draw.forbidden().length);
            }
            scores += row.scoresTo() - row.scoresFrom() + row.drafts();
            require(
                    row.drafts() == 0
                            || (row.drafts() < row.to() - row.from()
                                    && row.samples().size() == 1
                                    && row.scoresFrom() == row.scoresTo()),
                    "guesses in the wrong row");
            require(
                    row.scoresFrom() == row.scoresTo()
                            || (row.scoresFrom() >= row.from() && row.scoresTo() <= row.to()),
                    "scores outside");
        }
        for (Batch.Filler filler : batch.fillers()) {
            require(filler.from() >= 0 && filler.from() < filler.to(), "bad filler");
            require(filler.to() <= limits.maxModelLen(), "filler beyond the longest sequence");
            require(filler.to() <= limits.kvBlocks() * limits.blockTokens(), "filler beyond the cache");
            tokens += filler.to() - filler.from();
            draws += filler.drawn() ? 1 : 0;
        }
        require(tokens <= limits.maxTokens(), "too many tokens");
        require(draws <= limits.maxDraws(), "too many draws");
        require(biases <= limits.maxExtras(), "too many biases");
        require(scores <= limits.maxScores(), "too many scores");
    }

    private void compute(Batch.Row row) {
        long prefix = 0;
        int size = limits.blockTokens();
        int start = checking ? 0 : row.from();
        if (start > 0) {
            prefix = contents[row.blocks().block((start - 1) / size)][(start - 1) % size];
        }
        for (int p = start; p < row.to(); p++) {
            prefix = FakeModel.extend(prefix, token(row, p));
            long[] block = contents[row.blocks().block(p / size)];
            if (p >= row.from()) {
                block[p % size] = prefix;
            }
        }
    }

    private void sample(Batch.Row row, Output output) {
        if (checking) {
            verify(row, output);
        }
        for (int p = row.to() - 1 - row.drafts(); p < row.to(); p++) {
            int size = limits.blockTokens();
            long prefix = contents[row.blocks().block(p / size)][p % size];
            for (Batch.Draw draw : row.samples()) {
                int token = notFinite.test(row) ? -1 : FakeModel.draw(prefix, token(row, p), draw);
                output.add(token, FakeModel.logprob(prefix, token));
            }
        }
    }

    // After all rows have written: what a row attends to must still be its own.
    private void verify(Batch.Row row, Output output) {
        long prefix = 0;
        int size = limits.blockTokens();
        for (int p = 0; p < row.to(); p++) {
            prefix = FakeModel.extend(prefix, token(row, p));
            require(
                    contents[row.blocks().block(p / size)][p % size] == prefix,
                    "position of another prefix in the context");
            if (p >= row.scoresFrom() && p < row.scoresTo()) {
                int next = row.tokens()[p + 1];
                output.add(notFinite.test(row) ? -1 : next, FakeModel.logprob(prefix, next));
            }
        }
    }

    private static void require(boolean holds, String problem) {
        if (!holds) {
            throw new AssertionError(problem);
        }
    }

    @Override
    public void close() {}

    private static final class Output implements StepOutput {
        private int[] tokens = new int[16];
        private float[] logprobs = new float[16];
        private int size;

        void add(int token, float logprob) {
            if (size == tokens.length) {
                tokens = java.util.Arrays.copyOf(tokens, size * 2);
                logprobs = java.util.Arrays.copyOf(logprobs, size * 2);
            }
            tokens[size] = token;
            logprobs[size++] = logprob;
        }

        @Override
        public long deviceNanos() {
            return 1;
        }

        @Override
        public int token(int sample) {
            return tokens[sample];
        }

        @Override
        public float logprob(int sample) {
            return logprobs[sample];
        }

        @Override
        public int topToken(int sample, int i) {
            return (tokens[sample] + i) % FakeModel.VOCAB;
        }

        @Override
        public float topLogprob(int sample, int i) {
            return logprobs[sample] - i;
        }
    }
}
