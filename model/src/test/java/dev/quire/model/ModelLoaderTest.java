package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.quire.model.weights.WeightsException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelLoaderTest {
    private static final Path TINY = TinyModels.folder("llama-untied");

    private final Path folder;

    ModelLoaderTest(@TempDir Path folder) {
        this.folder = folder;
    }

    private static LoadOptions options(long kvBytes, int maxModelLen, int sequences) {
        return new LoadOptions(
                "java", "auto", 1, kvBytes, 0, 0.9, "auto", 16, maxModelLen, 64, sequences, false, 1, null);
    }

    /** The failure of a load; closing a device with live buffers fails too, and would be seen as suppressed. */
    private static Throwable failure(Path model, LoadOptions options) {
        Throwable failure = catchThrowable(
                () -> ModelLoader.loadRunner(model, options, Progress.NONE).close());
        assertThat(failure.getSuppressed()).isEmpty();
        return failure;
    }

    @Test
    void reportsProgressThatNeverFalls() {
        List<Integer> percents = new ArrayList<>();
        ModelLoader.loadRunner(TINY, options(0, 0, 4), (phase, percent) -> {
                    assertThat(phase).isNotBlank();
                    percents.add(percent);
                })
                .close();
        assertThat(percents).isSorted().hasSizeGreaterThan(10).endsWith(100);
    }

    @Test
    void takesTheSizesItWasToldToTake() {
        try (ModelLoader.LoadedRunner model = ModelLoader.loadRunner(TINY, options(1 << 20, 100, 4), Progress.NONE)) {
            ModelRunner.Limits limits = model.runner().limits();
            assertThat(limits.maxModelLen()).isEqualTo(100);
            assertThat(limits.maxSequences()).isEqualTo(4);
            assertThat(limits.kvBlocks()).isEqualTo((1 << 20) / (2 * 2 * 16 * 16 * 4)); // layers, K+V, width, tokens
            assertThat(model.kvBytes()).isEqualTo(1 << 20);
            assertThat(model.weightBytes()).isGreaterThan(90_000);
        }
    }

    @Test
    void freesEverythingWhenTheCacheIsTooSmall() {
        assertThat(failure(TINY, options(4096, 0, 4)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("one sequence of 256 tokens needs");
    }

    @Test
    void freesEverythingWhenATensorIsMissing() throws IOException {
        String config = Files.readString(TINY.resolve("config.json"));
        Files.copy(TINY.resolve("model.safetensors"), folder.resolve("model.safetensors"));
        Files.writeString(
                folder.resolve("config.json"), config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"));
        assertThat(failure(folder, options(0, 0, 4)))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("tensor model.layers.2.input_layernorm.weight is missing");
        Files.writeString(
                folder.resolve("config.json"),
                config.replace("\"intermediate_size\": 64", "\"intermediate_size\": 96"));
        assertThat(failure(folder, options(0, 0, 4)))
                .hasMessageContaining("tensor model.layers.0.mlp.gate_proj.weight has shape [64, 32], the model's"
                        + " configuration asks for [96, 32]");
    }

    private void withTokenizer(int vocabSize) throws IOException {
        Path tokenizer = Path.of("src/test/resources/tokenizer/smollm");
        for (String file : List.of("tokenizer.json", "tokenizer_config.json")) {
            if (Files.exists(tokenizer.resolve(file))) {
                Files.copy(tokenizer.resolve(file), folder.resolve(file));
            }
        }
        Files.copy(TINY.resolve("model.safetensors"), folder.resolve("model.safetensors"));
        Files.writeString(
                folder.resolve("config.json"),
                Files.readString(TINY.resolve("config.json"))
                        .replace("\"vocab_size\": 128", "\"vocab_size\": " + vocabSize));
    }

    @Test
    void aTokenizerLargerThanTheEmbeddingIsRefusedBeforeAnythingIsLoaded() throws IOException {
        withTokenizer(128);
        List<String> phases = new ArrayList<>();
        assertThatThrownBy(() -> ModelLoader.load(folder, options(0, 0, 4), (phase, _) -> phases.add(phase)))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("the embedding has 128");
        assertThat(phases).containsExactly("reading the tokenizer");
    }

    @Test
    void refusesOptionsOutOfRange() {
        assertThat(failure(TINY, options(0, 257, 4))).hasMessageContaining("max-model-len is 257, allowed: 0");
        assertThat(failure(TINY, options(0, 0, 0))).hasMessageContaining("max-num-seqs is 0, allowed: 1 to");
        assertThat(failure(TINY, options(-1, 0, 4))).hasMessageContaining("kv-cache-memory-bytes is -1");
    }

    @Test
    void aFileThatIsNotThereIsNamed() {
        assertThatThrownBy(() -> ModelLoader.loadRunner(folder.resolve("no.gguf"), LoadOptions.DEFAULTS, Progress.NONE))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("no.gguf: cannot be read");
    }
}
