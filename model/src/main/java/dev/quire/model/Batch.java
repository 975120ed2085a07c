package dev.quire.model;

import dev.quire.kvcache.BlockTable;
import dev.quire.model.sampling.SamplingParams;
import dev.quire.model.sampling.TokenCounts;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The work of one step: rows of unequal length, no padding (Orca's iteration-level batching). Read by the runner during
 * {@link ModelRunner#launch} only.
 *
 * @param rows one per sequence
 * @param copies pairs of block ids (source, destination), copied before anything is computed: copy-on-write
 * @param fillers rows of nobody, computed after the others: what a batch padded to a rectangle computes for nothing
 * @param swapsOut pairs (device block, host block), moved before the copies
 * @param swapsIn pairs (host block, device block), moved after those that go out
 */
public record Batch(List<Row> rows, int[] copies, List<Filler> fillers, int[] swapsOut, int[] swapsIn) {
    private static final int[] NONE = new int[0];

    /** A batch without padding and without swaps. */
    public Batch(List<Row> rows, int[] copies) {
        this(rows, copies, List.of());
    }

    /** A batch without swaps. */
    public Batch(List<Row> rows, int[] copies, List<Filler> fillers) {
        this(rows, copies, fillers, NONE, NONE);
    }

    /**
     * Padding: positions {@code [from, to)} are computed at the full price, attention over all positions before them
     * included; their keys and values go nowhere, and no output tells of them.
     *
     * @param drawn whether a token is drawn at the end, and dropped
     */
    public record Filler(int from, int to, boolean drawn) {}

    /**
     * Compute tokens {@code [from, to)} of a sequence; their keys and values go into {@code blocks}, whose earlier
     * positions are already computed. Prefill, chunk, decode and resume differ only in these numbers. Who plans steps
     * may use a row again once its step has ended; nobody else writes it.
     */
    public static final class Row {
        private static final int KNOWN = -1;

        private int[] tokens;
        private int from;
        private int to;
        private BlockTable blocks;
        private List<Draw> samples;
        private int drafts;
        private int scoresFrom;
        private int scoresTo;
        private int scoreLogprobs;
        private int carried = KNOWN;

        /** A row without guesses; the arguments are what the methods of their names say. */
        public Row(
                int[] tokens,
                int from,
                int to,
                BlockTable blocks,
                List<Draw> samples,
                int scoresFrom,
                int scoresTo,
                int scoreLogprobs) {
            this.tokens = tokens;
            this.from = from;
            this.to = to;
            this.blocks = blocks;
            this.samples = samples;
            this.scoresFrom = scoresFrom;
            this.scoresTo = scoresTo;
            this.scoreLogprobs = scoreLogprobs;
        }

        /** Makes this a row without guesses and without scores. */
        public void set(int[] tokens, int from, int to, BlockTable blocks, List<Draw> samples, int logprobs) {
            this.tokens = tokens;
            this.from = from;
            this.to = to;
            this.blocks = blocks;
            this.samples = samples;
            scoreLogprobs = logprobs;
            score(0, 0);
            guess(0);
            know();
        }

        /** Asks for scores of positions {@code [from, to)}. */
        public void score(int from, int to) {
            scoresFrom = from;
            scoresTo = to;
        }

        /** Calls so many of the last tokens guesses. */
        public void guess(int count) {
            drafts = count;
        }

        /** Says that the last token is the one that the batch launched before this one draws as its sample of this number. */
        public void carry(int sample) {
            carried = sample;
        }

        /** Says that all tokens are set. */
        public void know() {
            carried = KNOWN;
        }

        /** Number of the sample whose token is the last of the row, in the batch launched before; negative: it is known. */
        public int carried() {
            return carried;
        }

        /** Tokens of the sequence that are known, up to {@link #to}. */
        public int known() {
            return carried < 0 ? to : to - 1;
        }

        /** The sequence's tokens; at least {@link #known} of them are set. */
        public int[] tokens() {
            return tokens;
        }

        /** First position to compute. */
        public int from() {
            return from;
        }

        /** End of the positions to compute, above {@link #from}. */
        public int to() {
            return to;
        }

        /** The sequence's blocks; they cover at least {@link #to} positions. */
        public BlockTable blocks() {
            return blocks;
        }

        /**
         * What to draw from the logits of position {@code to - 1}; nothing for a chunk that is not the last, several for
         * {@code n > 1}.
         */
        public List<Draw> samples() {
            return samples;
        }

        /**
         * How many of the last tokens are guesses: the one sample is then drawn at each of the last {@code drafts + 1}
         * positions, so that the guesses can be compared with what is drawn; such a row scores nothing.
         */
        public int drafts() {
            return drafts;
        }

        /**
         * First position p in [from, to) of which the log-probability of token p + 1 is wanted, for p up to
         * {@link #scoresTo}; equal to it when none are.
         */
        public int scoresFrom() {
            return scoresFrom;
        }

        /** End of the scored positions; {@link #tokens} holds at least {@code scoresTo + 1}. */
        public int scoresTo() {
            return scoresTo;
        }

        /** How many alternatives each score brings. */
        public int scoreLogprobs() {
            return scoreLogprobs;
        }

        /** Numbers of the row in {@link StepOutput}. */
        public int outputs() {
            return scoresTo - scoresFrom + samples.size() * (drafts + 1);
        }
    }

    /**
     * One token to draw.
     *
     * @param params how
     * @param stream separates the choices of one request: the second part of the random numbers' key
     * @param counts what the sequence holds, where penalties ask for it
     * @param forbidden tokens that may not be drawn at this position (end tokens before {@code min_tokens})
     */
    public record Draw(
            SamplingParams params, int stream, @Nullable TokenCounts counts, int[] forbidden) {}
}
