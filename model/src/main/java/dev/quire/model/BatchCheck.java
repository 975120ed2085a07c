package dev.quire.model;

import dev.quire.kvcache.BlockSwaps;
import dev.quire.model.sampling.SamplingParams;

/** Refuses a batch that does not fit a runner, before anything of it has been written or started. */
final class BatchCheck {
    private final ModelRunner.Limits limits;
    private final int vocab;
    private long tokens;
    private long scores;
    private long draws;
    private long biases;
    private long counts;

    private BatchCheck(ModelRunner.Limits limits, int vocab) {
        this.limits = limits;
        this.vocab = vocab;
    }

    /** @throws IllegalArgumentException naming the row and the number that does not fit */
    static void check(Batch batch, ModelRunner.Limits limits, int vocab) {
        BatchCheck check = new BatchCheck(limits, vocab);
        int rows = batch.rows().size();
        int fillers = batch.fillers().size();
        atMost("rows", rows + fillers, limits.maxSequences());
        require(rows + fillers > 0, "a batch needs a row");
        check.copies(batch.copies());
        check.swaps("swap out", batch.swapsOut(), limits.kvBlocks(), limits.hostBlocks());
        check.swaps("swap in", batch.swapsIn(), limits.hostBlocks(), limits.kvBlocks());
        for (int i = 0; i < rows; i++) {
            check.row(i, batch.rows().get(i));
        }
        for (int i = 0; i < fillers; i++) {
            check.filler(batch.fillers().get(i));
        }
        atMost("tokens", check.tokens, limits.maxTokens());
        atMost("scored positions and guesses", check.scores, limits.maxScores());
        atMost("draws", check.draws, limits.maxDraws());
        atMost("biases and forbidden tokens", check.biases, limits.maxExtras());
        atMost("counted tokens", check.counts, limits.maxExtras());
    }

    private static void atMost(String what, long n, long most) {
        if (n > most) {
            throw new IllegalArgumentException("the batch has " + n + " " + what + ", at most " + most + " fit a step");
        }
    }

    private static void require(boolean holds, String problem) {
        if (!holds) {
            throw new IllegalArgumentException(problem);
        }
    }

    private void copies(int[] copies) {
        require(copies.length % 2 == 0, "copies come in pairs");
        atMost("copies", copies.length / 2, limits.maxSequences());
        for (int block : copies) {
            if (block < 0 || block >= limits.kvBlocks()) {
                throw new IllegalArgumentException("copy names block " + block + " of " + limits.kvBlocks());
            }
        }
    }

    private void swaps(String what, int[] pairs, int from, int to) {
        require(pairs.length % 2 == 0, what + " comes in pairs");
        atMost("blocks to " + what, pairs.length / 2, BlockSwaps.MOST);
        for (int i = 0; i < pairs.length; i++) {
            int blocks = i % 2 == 0 ? from : to;
            if (pairs[i] < 0 || pairs[i] >= blocks) {
                throw new IllegalArgumentException(what + " names block " + pairs[i] + " of " + blocks);
            }
        }
    }

    private void row(int index, Batch.Row row) {
        if (row.from() < 0 || row.to() <= row.from() || row.to() > limits.maxModelLen()) {
            throw new IllegalArgumentException("row " + index + " computes [" + row.from() + ", " + row.to()
                    + ") of at most " + limits.maxModelLen() + " positions");
        }
        boolean scored = row.scoresFrom() < row.scoresTo();
        if (scored && (row.scoresFrom() < row.from() || row.scoresTo() > row.to())) {
            throw new IllegalArgumentException("row " + index + " scores [" + row.scoresFrom() + ", " + row.scoresTo()
                    + ") outside [" + row.from() + ", " + row.to() + ")");
        }
        boolean guesses = row.drafts() != 0;
        if (guesses
                && (row.drafts() < 0
                        || row.drafts() >= row.to() - row.from()
                        || scored
                        || row.samples().size() != 1)) {
            throw new IllegalArgumentException("row " + index + " has " + row.drafts() + " guesses in [" + row.from()
                    + ", " + row.to() + "), with one sample and no scores fewer than its tokens are allowed");
        }
        int needed = scored ? Math.max(row.known(), row.scoresTo() + 1) : row.known();
        require(
                row.carried() < 0 || (row.drafts() == 0 && needed < row.to()),
                "a carried token is neither a guess nor scored");
        if (row.tokens().length < needed) {
            throw new IllegalArgumentException(
                    "row " + index + " has " + row.tokens().length + " tokens, " + needed + " are needed");
        }
        for (int p = row.from(); p < needed; p++) {
            token(index, row.tokens()[p]);
        }
        blocks(index, row);
        for (int i = 0; i < row.samples().size(); i++) {
            draw(index, row.samples().get(i), row.drafts() + 1);
        }
        tokens += row.to() - row.from();
        scores += scored ? row.scoresTo() - row.scoresFrom() : row.drafts();
        draws += row.samples().size();
    }

    private void filler(Batch.Filler filler) {
        int from = filler.from();
        int to = filler.to();
        int most = Math.min(limits.maxModelLen(), limits.kvBlocks() * limits.blockTokens());
        if (from < 0 || to <= from || to > most) {
            throw new IllegalArgumentException(
                    "a filler computes [" + from + ", " + to + ") of at most " + most + " positions");
        }
        tokens += to - from;
        draws += filler.drawn() ? 1 : 0;
    }

    private void token(int row, int token) {
        if (token < 0 || token >= vocab) {
            throw new IllegalArgumentException("row " + row + " holds token " + token + " of " + vocab);
        }
    }

    private void blocks(int index, Batch.Row row) {
        int needed = Math.ceilDiv(row.to(), limits.blockTokens());
        if (row.blocks().size() < needed) {
            throw new IllegalArgumentException("row " + index + " has "
                    + row.blocks().size() + " blocks, " + needed + " are needed for " + row.to() + " positions");
        }
        for (int i = 0; i < needed; i++) {
            int block = row.blocks().block(i);
            if (block < 0 || block >= limits.kvBlocks()) {
                throw new IllegalArgumentException(
                        "row " + index + " names block " + block + " of " + limits.kvBlocks());
            }
        }
    }

    private void draw(int row, Batch.Draw draw, int times) {
        SamplingParams params = draw.params();
        require(params.biasTokens().length == params.biasValues().length, "as many bias tokens as values are needed");
        for (int token : params.biasTokens()) {
            token(row, token);
        }
        for (int token : draw.forbidden()) {
            token(row, token);
        }
        biases += (long) times * (params.biasTokens().length + draw.forbidden().length);
        if (draw.counts() != null && params.usesCounts()) {
            counts += (long) times * draw.counts().size();
        }
        int most = limits.maxExtras();
        require(biases <= most && counts <= most, "more than " + most + " biases or counted tokens");
    }
}
