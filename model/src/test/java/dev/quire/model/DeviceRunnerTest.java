package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.quire.kvcache.BlockTable;
import dev.quire.kvcache.TestBlocks;
import dev.quire.model.sampling.SamplingParams;
import dev.quire.model.sampling.TokenCounts;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class DeviceRunnerTest {
    private static final int[] NOTHING = {};
    private static final int[] PROMPT = TinyModels.cases("llama-tied").getLast().prompt();

    private final ModelLoader.LoadedRunner model = ModelLoader.loadRunner(
            TinyModels.folder("llama-tied"), TestDevices.ALL.getLast().options(1), Progress.NONE);
    private final DeviceRunner runner = model.runner();
    private final TokenRun run = new TokenRun(runner);
    private float[] logits = {};

    @BeforeAll
    void computeThePrompt() {
        logits = run.logits(PROMPT, 64, 0).getLast();
    }

    @AfterAll
    void close() {
        model.close();
    }

    private Batch.Row prompt(Batch.Draw... draws) {
        return new Batch.Row(PROMPT, 0, PROMPT.length, run.blocks(0, PROMPT.length), List.of(draws), 0, 0, 0);
    }

    private static Batch.Draw draw(
            float temperature, long seed, int stream, @Nullable TokenCounts counts, float presence, int... forbidden) {
        SamplingParams params =
                new SamplingParams(temperature, 1, 0, 0, 1, presence, 0, seed, 2, false, NOTHING, new float[0]);
        return new Batch.Draw(params, stream, counts, forbidden);
    }

    private static Batch.Draw biased(Batch.Draw draw, int token, float bias) {
        SamplingParams p = draw.params();
        int[] tokens = {token};
        return new Batch.Draw(
                new SamplingParams(p.temperature(), 1, 0, 0, 1, 0, 0, p.seed(), 2, false, tokens, new float[] {bias}),
                draw.stream(),
                null,
                NOTHING);
    }

    private static Batch.Draw biased(int token, float bias) {
        return new Batch.Draw(
                new SamplingParams(0, 1, 0, 0, 1, 0, 0, 0, 0, false, new int[] {token}, new float[] {bias}),
                0,
                null,
                NOTHING);
    }

    private int[] byLogit() {
        return IntStream.range(0, logits.length)
                .boxed()
                .sorted((a, b) -> Float.compare(logits[b], logits[a]))
                .mapToInt(Integer::intValue)
                .toArray();
    }

    @Test
    void scoresComeBeforeDrawsAndCarryLogProbabilities() {
        Batch.Row row = new Batch.Row(
                PROMPT, 0, PROMPT.length, run.blocks(0, PROMPT.length), List.of(draw(0, 0, 0, null, 0)), 30, 32, 3);
        StepOutput out = run.step(row);
        assertThat(out.token(0)).isEqualTo(PROMPT[31]);
        assertThat(out.token(1)).isEqualTo(PROMPT[32]);
        int[] best = byLogit();
        double norm = Divergence.logSumExp(logits);
        assertThat(out.token(2)).isEqualTo(best[0]);
        assertThat((double) out.logprob(2)).isCloseTo(logits[best[0]] - norm, within(1e-4));
        assertThat(out.topToken(2, 0)).isEqualTo(best[0]);
        assertThat(out.topToken(2, 1)).isEqualTo(best[1]);
        assertThat((double) out.topLogprob(2, 1)).isCloseTo(logits[best[1]] - norm, within(1e-4));
        assertThatThrownBy(() -> out.token(3)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void forbiddenBiasedAndPenalisedTokensChangeTheDraw() {
        int[] best = byLogit();
        TokenCounts counts = new TokenCounts();
        counts.addOutput(best[0]);
        counts.addOutput(best[1]);
        StepOutput out = run.step(prompt(
                draw(0, 0, 0, null, 0, best[0], best[1]),
                biased(best[9], 1000),
                draw(0, 0, 0, counts, 2),
                TokenRun.GREEDY));
        assertThat(out.token(0)).isEqualTo(best[2]);
        assertThat(out.token(1)).isEqualTo(best[9]);
        float[] penalised = logits.clone();
        penalised[best[0]] -= 2;
        penalised[best[1]] -= 2;
        assertThat(out.token(2)).isEqualTo(Divergence.best(penalised));
        assertThat(out.token(3)).isEqualTo(best[0]);
    }

    @Test
    void seedAndStreamAloneDecideADrawWhateverTheCompany() {
        Batch.Draw[] draws = new Batch.Draw[32];
        Arrays.setAll(draws, i -> draw(2, 7 + i / 8, i % 8, null, 0));
        StepOutput together = run.step(prompt(draws));
        int[] first = new int[draws.length];
        Arrays.setAll(first, together::token);
        for (int i = 0; i < draws.length; i++) {
            assertThat(run.step(prompt(draws[i])).token(0)).isEqualTo(first[i]);
        }
        assertThat(Arrays.stream(first).distinct().count()).isGreaterThan(5);
    }

    /** As the engine verifies guesses: whatever they are, the draws before the first wrong one are those of single steps. */
    @Test
    void drawsAtGuessedTokensAreThoseOfStepsOfOneToken() {
        Batch.Draw draw = biased(draw(1, 3, 1, null, 0), 5, 2);
        int[] tokens = Arrays.copyOf(PROMPT, PROMPT.length + 8);
        BlockTable table = TestBlocks.from(0, 3);
        float[] logprobs = new float[8];
        for (int i = 0; i < 8; i++) {
            int end = PROMPT.length + i;
            StepOutput out = run.step(new Batch.Row(tokens, i == 0 ? 0 : end - 1, end, table, List.of(draw), 0, 0, 0));
            tokens[end] = out.token(0);
            logprobs[i] = out.logprob(0);
        }
        int[] guessed = tokens.clone();
        guessed[PROMPT.length + 5] = (tokens[PROMPT.length + 5] + 1) % 128;
        BlockTable other = TestBlocks.from(10, 3);
        run.step(new Batch.Row(guessed, 0, PROMPT.length, other, List.of(), 0, 0, 0));
        Batch.Row company = new Batch.Row(PROMPT, 0, 10, TestBlocks.of(5), List.of(TokenRun.GREEDY), 0, 0, 0);
        StepOutput out = run.step(
                company,
                guessing(6, new Batch.Row(guessed, PROMPT.length, PROMPT.length + 7, other, List.of(draw), 0, 0, 0)),
                company);
        for (int i = 1; i < 6; i++) {
            assertThat(out.token(i)).isEqualTo(tokens[PROMPT.length + i]);
            assertThat(out.logprob(i)).isEqualTo(logprobs[i]);
        }
        assertThat(out.token(8)).isEqualTo(out.token(0));
    }

    @Test
    void copiedBlocksContinueAsTheOriginals() {
        run.logits(PROMPT, 64, 0);
        int[] tokens = Arrays.copyOf(PROMPT, PROMPT.length + 1);
        tokens[PROMPT.length] = 5;
        BlockTable original = TestBlocks.of(0, 1, 2);
        BlockTable forked = TestBlocks.of(0, 1, 9);
        Batch.Row next = new Batch.Row(tokens, 33, 34, original, List.of(TokenRun.GREEDY), 0, 0, 0);
        run.step(next);
        float[] expected = runner.logits(0);
        Batch.Row fork = new Batch.Row(tokens, 33, 34, forked, List.of(TokenRun.GREEDY), 0, 0, 0);
        runner.launch(new Batch(List.of(fork), new int[] {2, 9})).await();
        assertThat(runner.logits(0)).isEqualTo(expected);
    }

    @Test
    void anOutputIsStillThereWhileTheNextBatchRuns() {
        StepOutput first = run.step(prompt(TokenRun.GREEDY));
        int token = first.token(0);
        ModelRunner.Pending second =
                runner.launch(new Batch(List.of(prompt(biased((token + 1) % 128, 1000))), NOTHING));
        assertThat(first.token(0)).isEqualTo(token);
        assertThatThrownBy(() -> runner.launch(new Batch(List.of(prompt()), NOTHING)))
                .isInstanceOf(IllegalStateException.class);
        assertThat(second.await().token(0)).isEqualTo((token + 1) % 128);
    }

    private void refused(Batch batch, String message) {
        assertThatThrownBy(() -> runner.launch(batch))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(message);
        assertThat(run.step(prompt(TokenRun.GREEDY)).token(0)).isEqualTo(byLogit()[0]);
    }

    private void refused(Batch.Row row, String message) {
        refused(new Batch(List.of(row), NOTHING), message);
    }

    private Batch.Row row(int[] tokens, int from, int to, BlockTable blocks) {
        return new Batch.Row(tokens, from, to, blocks, List.of(), 0, 0, 0);
    }

    private static Batch.Row guessing(int[] tokens, int drafts, int from, int scores) {
        return guessing(
                drafts,
                new Batch.Row(tokens, from, 8, TestBlocks.of(0), List.of(TokenRun.GREEDY), from, from + scores, 0));
    }

    @Test
    void guessesCountWithTheScoredPositions() {
        int most = 300;
        ModelRunner.Limits limits = new ModelRunner.Limits(most, 8, most, 9, 8, 12, 64, 16);
        Batch.Row ten =
                guessing(10, new Batch.Row(new int[most], 0, 11, TestBlocks.of(0), List.of(TokenRun.GREEDY), 0, 0, 0));
        Batch.Row five =
                guessing(5, new Batch.Row(new int[most], 0, 6, TestBlocks.of(0), List.of(biased(1, 1)), 0, 0, 0));
        assertThatThrownBy(() -> BatchCheck.check(new Batch(List.of(ten), NOTHING), limits, 128))
                .hasMessageContaining("10 scored positions and guesses, at most 9");
        BatchCheck.check(new Batch(List.of(five), NOTHING), limits, 128);
        assertThatThrownBy(() -> BatchCheck.check(
                        new Batch(List.of(five, five, five), NOTHING),
                        new ModelRunner.Limits(most, 8, most, 99, 8, 12, 64, 16),
                        128))
                .hasMessageContaining("more than 12 biases");
    }

    @Test
    void fillerComesAfterTheRowsAndLeavesNoTrace() {
        int[] tokens = Arrays.copyOf(PROMPT, PROMPT.length + 1);
        BlockTable blocks = run.blocks(0, tokens.length);
        Batch.Row next = new Batch.Row(tokens, PROMPT.length, tokens.length, blocks, List.of(TokenRun.GREEDY), 0, 0, 0);
        int first = run.step(prompt(TokenRun.GREEDY)).token(0);
        int second = run.step(next).token(0);
        float[] expected = runner.logits(0);
        List<Batch.Filler> fillers = List.of(new Batch.Filler(0, 20, false), new Batch.Filler(40, 41, true));

        StepOutput out = runner.launch(new Batch(List.of(prompt(TokenRun.GREEDY)), NOTHING, fillers))
                .await();
        assertThat(out.token(0)).isEqualTo(first);
        assertThat(out.token(1)).isBetween(0, 127);
        assertThatThrownBy(() -> out.token(2)).isInstanceOf(IndexOutOfBoundsException.class);
        runner.launch(new Batch(List.of(), NOTHING, fillers)).await();
        assertThat(run.step(next).token(0)).isEqualTo(second);
        assertThat(runner.logits(0)).isEqualTo(expected);
    }

    @Test
    void fillerThatDoesNotFitIsRefused() {
        refused(new Batch(Collections.nCopies(5, prompt()), NOTHING, filler(4, 0, 1)), "9 rows, at most 8");
        refused(new Batch(List.of(), NOTHING, filler(2, 0, 33)), "the batch has 66 tokens, at most 64");
        refused(new Batch(List.of(), NOTHING, filler(1, 250, 257)), "[250, 257) of at most 256 positions");
        refused(new Batch(List.of(), NOTHING, filler(1, -1, 2)), "a filler computes [-1, 2)");
        refused(new Batch(List.of(), NOTHING, filler(1, 2, 2)), "a filler computes [2, 2)");
    }

    private static List<Batch.Filler> filler(int count, int from, int to) {
        return Collections.nCopies(count, new Batch.Filler(from, to, false));
    }

    @Test
    void aBatchThatDoesNotFitIsRefusedAndTheRunnerGoesOn() {
        BlockTable one = TestBlocks.of(0);
        BlockTable many = TestBlocks.from(0, 16);
        int[] tokens = new int[300];
        refused(new Batch(List.of(), NOTHING), "needs a row");
        refused(new Batch(Collections.nCopies(9, prompt()), NOTHING), "9 rows, at most 8");
        refused(new Batch(List.of(prompt()), new int[] {1}), "come in pairs");
        refused(new Batch(List.of(prompt()), new int[] {0, 1 << 20}), "copy names block 1048576");
        refused(row(tokens, 4, 4, one), "row 0 computes [4, 4)");
        refused(row(tokens, -1, 4, one), "row 0 computes [-1, 4)");
        refused(row(tokens, 250, 257, many), "at most 256 positions");
        refused(row(tokens, 0, 65, many), "the batch has 65 tokens, at most 64");
        refused(row(new int[3], 0, 4, one), "row 0 has 3 tokens, 4 are needed");
        refused(row(new int[] {128}, 0, 1, one), "token 128 of 128");
        refused(row(new int[] {-1}, 0, 1, one), "token -1 of 128");
        refused(row(tokens, 0, 17, one), "row 0 has 1 blocks, 2 are needed");
        refused(row(tokens, 0, 1, TestBlocks.of(-1)), "row 0 names block -1");
        refused(new Batch.Row(tokens, 4, 8, one, List.of(), 3, 5, 0), "scores [3, 5) outside");
        refused(new Batch.Row(new int[8], 4, 8, one, List.of(), 4, 8, 0), "8 tokens, 9 are needed");
        refused(guessing(tokens, 4, 4, 0), "row 0 has 4 guesses in [4, 8)");
        refused(guessing(tokens, -1, 4, 0), "row 0 has -1 guesses in [4, 8)");
        refused(guessing(tokens, 2, 4, 1), "no scores");
        refused(guessing(2, new Batch.Row(tokens, 4, 8, one, List.of(), 0, 0, 0)), "one sample");
        refused(
                guessing(2, new Batch.Row(tokens, 4, 8, one, List.of(TokenRun.GREEDY, TokenRun.GREEDY), 0, 0, 0)),
                "one sample");
        refused(prompt(biased(128, 1)), "token 128 of 128");
        refused(prompt(draw(0, 0, 0, null, 0, -5)), "token -5 of 128");
    }

    private static Batch.Row guessing(int guesses, Batch.Row row) {
        row.guess(guesses);
        return row;
    }
}
