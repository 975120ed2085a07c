package dev.quire.model;

import dev.quire.kvcache.BlockTable;
import dev.quire.kvcache.TestBlocks;
import dev.quire.model.sampling.SamplingParams;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Drives a runner as the engine does, one sequence of token ids at a time, and collects what comes out. */
final class TokenRun {
    static final Batch.Draw GREEDY = new Batch.Draw(SamplingParams.GREEDY, 0, null, new int[0]);
    private static final int[] NO_COPIES = {};

    private final DeviceRunner runner;

    TokenRun(DeviceRunner runner) {
        this.runner = runner;
    }

    BlockTable blocks(int first, int tokens) {
        return TestBlocks.from(first, Math.ceilDiv(tokens, runner.limits().blockTokens()));
    }

    StepOutput step(Batch.Row... rows) {
        return launch(rows).await();
    }

    private ModelRunner.Pending launch(Batch.Row... rows) {
        return runner.launch(new Batch(List.of(rows), NO_COPIES));
    }

    /** The logits of each position of a text, computed {@code chunk} tokens at a time. */
    List<float[]> logits(int[] text, int chunk, int firstBlock) {
        BlockTable table = blocks(firstBlock, text.length);
        List<float[]> rows = new ArrayList<>();
        for (int from = 0; from < text.length; from += chunk) {
            int to = Math.min(from + chunk, text.length);
            step(scored(text, from, to, table));
            for (int i = 0; i < to - from; i++) {
                rows.add(runner.logits(i));
            }
        }
        return rows;
    }

    /** A row that asks for the logits of each of its positions. */
    static Batch.Row scored(int[] text, int from, int to, BlockTable table) {
        return new Batch.Row(Arrays.copyOf(text, text.length + 1), from, to, table, List.of(), from, to, 0);
    }

    /** Greedy continuation of a prompt. */
    int[] greedy(int[] prompt, int count) {
        int[] tokens = Arrays.copyOf(prompt, prompt.length + count);
        BlockTable table = blocks(1, tokens.length);
        int from = 0;
        for (int n = prompt.length; n < tokens.length; n++) {
            StepOutput out = step(new Batch.Row(tokens, from, n, table, List.of(GREEDY), 0, 0, 0));
            from = n;
            tokens[n] = out.token(0);
        }
        return Arrays.copyOfRange(tokens, prompt.length, tokens.length);
    }

    /** The same, each step launched before the one before it has ended, whose token it carries. */
    int[] greedyAhead(int[] prompt, int count) {
        int[] tokens = Arrays.copyOf(prompt, prompt.length + count);
        BlockTable table = blocks(1, tokens.length);
        ModelRunner.Pending before = launch(new Batch.Row(tokens, 0, prompt.length, table, List.of(GREEDY), 0, 0, 0));
        for (int n = prompt.length; n < tokens.length - 1; n++) {
            Batch.Row row = new Batch.Row(tokens, n, n + 1, table, List.of(GREEDY), 0, 0, 0);
            row.carry(0);
            ModelRunner.Pending next = launch(row);
            tokens[n] = before.await().token(0);
            before = next;
        }
        tokens[tokens.length - 1] = before.await().token(0);
        return Arrays.copyOfRange(tokens, prompt.length, tokens.length);
    }
}
