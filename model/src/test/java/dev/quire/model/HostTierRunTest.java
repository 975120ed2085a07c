package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.kernels.Backends;
import dev.quire.kvcache.BlockTable;
import dev.quire.kvcache.TestBlocks;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Keys and values that leave the device and come back elsewhere: what follows is computed as if they had stayed. */
class HostTierRunTest {
    private static final int[] PROMPT = new int[33];
    private static final int[] NOTHING = {};

    static {
        Arrays.setAll(PROMPT, i -> 3 + i * 7 % 120);
    }

    @ParameterizedTest
    @CsvSource({"cpu, 1", "cpu, 2", "cuda, 1", "cuda, 2"})
    void aSequenceGoesOnAfterItsBlocksWereOnTheHost(String device, int ranks) {
        requireDevice(device);
        LoadOptions options =
                new LoadOptions(device, "auto", 2, 1 << 20, 1 << 20, 0.9, "auto", 16, 0, 64, 8, false, ranks, null);
        try (ModelLoader.LoadedRunner model =
                ModelLoader.loadRunner(TinyModels.folder("llama-tied"), options, Progress.NONE)) {
            DeviceRunner runner = model.runner();
            int hostBlocks = runner.limits().hostBlocks();
            assertThat(hostBlocks).isEqualTo(runner.limits().kvBlocks());
            TokenRun run = new TokenRun(runner);
            run.logits(PROMPT, 64, 0);
            int[] text = Arrays.copyOf(PROMPT, PROMPT.length + 1);
            text[PROMPT.length] = 5;
            run.step(new Batch.Row(text, 33, 34, TestBlocks.of(0, 1, 2), List.of(TokenRun.GREEDY), 0, 0, 0));
            float[] expected = runner.logits(0);

            // Out in one step, overwritten by another sequence, back in a third: block 2 by way of one step alone.
            int[] other = new int[48];
            Arrays.fill(other, 9);
            launch(runner, other, new int[] {0, 4, 1, hostBlocks - 1}, NOTHING, TestBlocks.of(0, 1, 5));
            int[] back = {4, 7, hostBlocks - 1, 3, 0, 6};
            runner.launch(new Batch(
                            List.of(new Batch.Row(
                                    text, 33, 34, TestBlocks.of(7, 3, 6), List.of(TokenRun.GREEDY), 0, 0, 0)),
                            NOTHING,
                            List.of(),
                            new int[] {2, 0},
                            back))
                    .await();
            assertThat(runner.logits(0)).isEqualTo(expected);

            assertThatThrownBy(() -> launch(runner, other, new int[] {0, hostBlocks}, NOTHING, TestBlocks.of(0, 1, 5)))
                    .hasMessageContaining("swap out names block " + hostBlocks + " of " + hostBlocks);
            assertThatThrownBy(() -> launch(runner, other, NOTHING, new int[] {-1, 0}, TestBlocks.of(0, 1, 5)))
                    .hasMessageContaining("swap in names block -1 of " + hostBlocks);
        }
    }

    private static void launch(DeviceRunner runner, int[] tokens, int[] out, int[] in, BlockTable table) {
        Batch.Row row = new Batch.Row(tokens, 0, tokens.length, table, List.of(), 0, 0, 0);
        runner.launch(new Batch(List.of(row), NOTHING, List.of(), out, in)).await();
    }

    private static void requireDevice(String device) {
        try {
            Backends.open(device, "auto", 1).close();
        } catch (IllegalStateException e) {
            Assumptions.abort(e.getMessage());
        }
    }
}
