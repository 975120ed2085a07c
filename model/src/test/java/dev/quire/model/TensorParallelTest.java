package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.model.weights.WeightsException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models that are split over ranks of the CPU library against the reference implementation. */
class TensorParallelTest {
    /** As of a model on one device. */
    private static final float BOUND = 1e-3f;

    private static LoadOptions options(String device, int threads, int ranks) {
        return new LoadOptions(device, "auto", threads, 64 << 20, 0, 0.9, "auto", 16, 0, 64, 8, false, ranks, null);
    }

    private static ModelLoader.LoadedRunner load(Path model, int ranks) {
        return ModelLoader.loadRunner(model, options("cpu", 2, ranks), Progress.NONE);
    }

    static Stream<String> models() {
        return TinyModels.names().stream().filter(name -> !name.contains("-fp8-"));
    }

    private static void assertLikeTheReference(String name, ModelLoader.LoadedRunner model) {
        TokenRun run = new TokenRun(model.runner());
        for (TinyModels.Case c : TinyModels.cases(name)) {
            assertThat(Logits.distance(run.logits(c.prompt(), 64, 0), c.logits()))
                    .isLessThanOrEqualTo(BOUND);
            assertThat(run.greedy(c.prompt(), c.greedy().length)).isEqualTo(c.greedy());
        }
    }

    @ParameterizedTest
    @MethodSource("models")
    void twoRanksGiveTheReferencesLogitsAndTokens(String name) {
        try (ModelLoader.LoadedRunner model = load(TinyModels.folder(name), 2)) {
            assertLikeTheReference(name, model);
        }
    }

    @Test
    void expertsTooNarrowForTheRanksAreRefused() {
        assertThatThrownBy(() -> load(TinyModels.folder("qwen3-moe"), 4).close())
                .hasMessageContaining("tensor-parallel-size is 4")
                .hasMessageContaining("experts of");
    }

    /** As near as on one device, where the CPU keeps them as bfloat16. */
    @ParameterizedTest
    @ValueSource(strings = {"llama-fp8-rows", "qwen3-fp8-squares"})
    void eightBitFloatsAreSharedOutWithTheirScales(String name) {
        try (ModelLoader.LoadedRunner model = load(TinyModels.folder(name), 2)) {
            TokenRun run = new TokenRun(model.runner());
            for (TinyModels.Case c : TinyModels.cases(name)) {
                assertThat(Logits.distance(run.logits(c.prompt(), 64, 0), c.logits()))
                        .isLessThanOrEqualTo(0.2f);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama-untied", "qwen2", "qwen3"})
    void soDoFourOfAModelWithAsManyHeads(String name, @TempDir Path folder) throws IOException {
        try (ModelLoader.LoadedRunner model = load(TinyFolder.write(name, 128, folder), 4)) {
            assertLikeTheReference(name, model);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama-tied", "qwen2", "mixtral", "qwen3-moe"})
    void soDoRanksOfAGgufFile(String name, @TempDir Path folder) throws IOException {
        Path file = Files.write(folder.resolve(name + ".gguf"), TinyGguf.of(name));
        try (ModelLoader.LoadedRunner model = load(file, 2)) {
            assertLikeTheReference(name, model);
        }
    }

    @Test
    void aVocabularyThatDoesNotDivideIsSplitAllTheSame(@TempDir Path folder) throws IOException {
        Path odd = TinyFolder.write("llama-tied", 101, folder);
        int[] text = {5, 99, 0, 100, 42, 17};
        try (ModelLoader.LoadedRunner whole = load(odd, 1);
                ModelLoader.LoadedRunner split = load(odd, 4)) {
            List<float[]> expected = new TokenRun(whole.runner()).logits(text, 64, 0);
            assertThat(expected.getFirst()).hasSize(101);
            assertThat(Logits.distance(new TokenRun(split.runner()).logits(text, 64, 0), expected))
                    .isLessThan(BOUND);
        }
    }

    /** The same bits alone, in a batch, in chunks, again, and with more threads. */
    @ParameterizedTest
    @ValueSource(strings = {"llama-untied", "qwen2", "qwen3"})
    void companyChangesNoBit(String name) {
        try (ModelLoader.LoadedRunner model = load(TinyModels.folder(name), 2);
                ModelLoader.LoadedRunner four =
                        ModelLoader.loadRunner(TinyModels.folder(name), options("cpu", 4, 2), Progress.NONE)) {
            TokenRun run = new TokenRun(model.runner());
            int[] prompt = TinyModels.cases(name).getLast().prompt();
            List<float[]> whole = run.logits(prompt, 64, 0);
            assertThat(run.logits(prompt, 7, 4)).containsExactlyElementsOf(whole);
            assertThat(new TokenRun(four.runner()).logits(prompt, 1, 2)).containsExactlyElementsOf(whole);
            List<float[]> alone = new ArrayList<>();
            List<Batch.Row> rows = new ArrayList<>();
            int block = 0;
            for (TinyModels.Case c : TinyModels.cases(name)) {
                alone.addAll(run.logits(c.prompt(), 64, 20));
                rows.add(TokenRun.scored(c.prompt(), 0, c.prompt().length, run.blocks(block, c.prompt().length)));
                block += 4;
            }
            run.step(rows.toArray(Batch.Row[]::new));
            for (int r = 0; r < alone.size(); r++) {
                assertThat(model.runner().logits(r)).as("row %d", r).isEqualTo(alone.get(r));
            }
        }
    }

    @Test
    void theCacheHoldsAsManyBlocksAndBytesAsOnOneDevice() {
        Path folder = TinyModels.folder("llama-tied");
        try (ModelLoader.LoadedRunner one = load(folder, 1);
                ModelLoader.LoadedRunner two = load(folder, 2)) {
            assertThat(two.runner().limits()).isEqualTo(one.runner().limits());
            assertThat(two.kvBytes()).isEqualTo(one.kvBytes());
            assertThat(two.devices().size()).isEqualTo(2);
        }
    }

    /** Ranks that are loaded side by side leave nothing behind when one of them fails. */
    @Test
    void aMissingTensorFreesEverything(@TempDir Path folder) throws IOException {
        Path model = TinyFolder.write("llama-tied", 128, folder);
        Path config = model.resolve("config.json");
        Files.writeString(
                config, Files.readString(config).replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"));
        assertThatThrownBy(() -> load(model, 2))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("tensor model.layers.2.input_layernorm.weight is missing")
                .hasNoSuppressedExceptions();
    }

    /** Half a group of 32 columns is no share. */
    @Test
    void quantisedColumnsAreSharedByWholeGroups(@TempDir Path folder) throws IOException {
        Path file = Files.write(folder.resolve("quantised.gguf"), TinyGguf.withQuantisedOutputs("llama-tied"));
        try (ModelLoader.LoadedRunner one = load(file, 1)) {
            assertThat(one.kvType()).isEqualTo("bf16");
        }
        assertThatThrownBy(() -> load(file, 2))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining(
                        "blk.0.attn_output.weight of type Q8_0 has 32 columns, which 2 ranks cannot share:"
                                + " each would need a multiple of 32");
    }

    @Test
    void whatCannotBeSharedOutIsRefused() {
        Path folder = TinyModels.folder("llama-tied");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> load(folder, 4))
                .withMessage("tensor-parallel-size is 4, but the model has 4 query heads, 2 key-value heads and 64"
                        + " feed-forward columns; allowed here: 1, 2");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> load(folder, 0))
                .withMessageContaining("tensor-parallel-size is 0, allowed: 1 to 64");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ModelLoader.loadRunner(folder, options("java", 1, 2), Progress.NONE))
                .withMessageContaining("device java takes 1");
    }
}
