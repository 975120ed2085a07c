package dev.quire.scheduler;

import dev.quire.model.Batch;
import java.util.List;

/** A sequence's part in a step. Used again for others, step after step; written by the plan that owns it. */
final class PlanEntry {
    final Batch.Row row;
    Sequence sequence;
    /** Of the sequence when planned. */
    int epoch;
    /** Whether the row brings the sequence to its next token and is only one token long, but for guesses. */
    boolean single;

    PlanEntry(Sequence sequence) {
        this.sequence = sequence;
        row = new Batch.Row(sequence.tokens, 0, 0, sequence.blocks, List.of(), 0, 0, 0);
    }

    /** Makes this an entry that computes {@code [from, to)} of a sequence. */
    void set(Sequence s, int from, int to, List<Batch.Draw> draws) {
        sequence = s;
        epoch = s.epoch;
        row.set(s.tokens, from, to, s.blocks, draws, s.request.spec.params().logprobs());
    }

    /** Whether the last token of the row is still being drawn. */
    boolean carries() {
        return row.to() > sequence.length;
    }

    /** Whether the sequence still holds the blocks that the row names. */
    boolean current() {
        return sequence.state == Sequence.State.RUNNING && sequence.epoch == epoch;
    }
}
