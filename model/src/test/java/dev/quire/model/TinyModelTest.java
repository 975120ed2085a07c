package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each architecture in float32 against the reference implementation, on each device of this machine. */
class TinyModelTest {
    /** The CPU keeps 8-bit floats with their scales as bfloat16, and the cache is bfloat16 beside them. */
    private static final float FLOAT8_BOUND = 0.2f;

    static Stream<Arguments> models() {
        return TinyModels.names().stream()
                .flatMap(name -> TestDevices.ALL.stream().map(device -> Arguments.of(name, device)));
    }

    private static ModelLoader.LoadedRunner load(String name, TestDevices.Device device, int threads) {
        return ModelLoader.loadRunner(TinyModels.folder(name), device.options(threads), Progress.NONE);
    }

    @ParameterizedTest
    @MethodSource("models")
    void logitsAndGreedyTokensAreThoseOfTheReference(String name, TestDevices.Device device) {
        try (ModelLoader.LoadedRunner model = load(name, device, 2)) {
            boolean float8 = name.contains("-fp8-");
            assertThat(model.kvType()).isEqualTo(float8 ? "bf16" : "f32");
            TokenRun run = new TokenRun(model.runner());
            float worst = 0;
            for (TinyModels.Case c : TinyModels.cases(name)) {
                worst = Math.max(worst, Logits.distance(run.logits(c.prompt(), 64, 0), c.logits()));
                if (!float8) { // whose errors are larger than what lies between the best two tokens
                    assertThat(run.greedy(c.prompt(), c.greedy().length)).isEqualTo(c.greedy());
                }
            }
            System.out.println(name + " on " + device + ": largest error of a logit " + worst);
            assertThat(worst).isLessThanOrEqualTo(float8 ? FLOAT8_BOUND : 1e-3f);
        }
    }

    static Stream<Arguments> modelsAndCodes() {
        return TinyModels.namesWithCodes().stream()
                .flatMap(name -> TestDevices.ALL.stream()
                        .flatMap(device -> Stream.of("int8", "fp8").map(kvType -> Arguments.of(name, device, kvType))));
    }

    /** In units of the largest logit of a row. With fp8 queries and weights are bfloat16 on the CPU's library. */
    @ParameterizedTest
    @MethodSource("modelsAndCodes")
    void cachesOfCodesGiveTheLogitsOfAReferenceWithSuchACache(String name, TestDevices.Device device, String kvType) {
        LoadOptions options = device.options(2, kvType);
        try (ModelLoader.LoadedRunner model = ModelLoader.loadRunner(TinyModels.folder(name), options, Progress.NONE)) {
            assertThat(model.kvType()).isEqualTo(kvType);
            TokenRun run = new TokenRun(model.runner());
            TinyModels.Case longest = TinyModels.cases(name).getLast();
            List<float[]> whole = run.logits(longest.prompt(), 64, 0);
            assertThat(run.logits(longest.prompt(), 5, 4)).containsExactlyElementsOf(whole);
            float error = Logits.relativeDistance(whole, TinyModels.logitsOfCodes(name, kvType));
            float apart = Logits.relativeDistance(whole, longest.logits());
            System.out.println(name + " on " + device + ", " + kvType + ": largest error of a logit " + error + ", "
                    + apart + " from a float32 cache");
            float bound = kvType.equals("int8") ? 0.01f : 0.1f;
            assertThat(error).isLessThanOrEqualTo(device.name().equals("java") ? 1e-4f : bound);
        }
    }

    @ParameterizedTest
    @MethodSource("models")
    void aPromptInChunksGivesTheSameBitsAsInOnePiece(String name, TestDevices.Device device) {
        try (ModelLoader.LoadedRunner model = load(name, device, 2);
                ModelLoader.LoadedRunner single = load(name, device, 1)) {
            int[] prompt = TinyModels.cases(name).getLast().prompt();
            List<float[]> whole = new TokenRun(model.runner()).logits(prompt, 64, 0);
            assertThat(new TokenRun(model.runner()).logits(prompt, 7, 4)).containsExactlyElementsOf(whole);
            assertThat(new TokenRun(single.runner()).logits(prompt, 1, 2)).containsExactlyElementsOf(whole);
        }
    }

    @ParameterizedTest
    @MethodSource("models")
    void aBatchGivesTheSameBitsAsEachSequenceAlone(String name, TestDevices.Device device) {
        try (ModelLoader.LoadedRunner model = load(name, device, 2)) {
            TokenRun run = new TokenRun(model.runner());
            List<float[]> alone = new ArrayList<>();
            List<Batch.Row> rows = new ArrayList<>();
            int block = 0;
            for (TinyModels.Case c : TinyModels.cases(name)) {
                int[] prompt = c.prompt();
                alone.addAll(run.logits(prompt, 64, 20));
                rows.add(TokenRun.scored(prompt, 0, prompt.length, run.blocks(block, prompt.length)));
                block += 4;
            }
            run.step(rows.toArray(Batch.Row[]::new));
            for (int r = 0; r < alone.size(); r++) {
                assertThat(model.runner().logits(r)).as("row %d", r).isEqualTo(alone.get(r));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama-tied", "llama-untied", "mixtral", "qwen2", "qwen3", "qwen3-moe"})
    void aGgufFileGivesTheTokensOfTheFolderItWasMadeFrom(String name, @TempDir Path folder) throws IOException {
        Path file = Files.write(folder.resolve(name + ".gguf"), TinyGguf.of(name));
        LoadOptions options = TestDevices.ALL.getLast().options(2);
        try (ModelLoader.LoadedRunner model = ModelLoader.loadRunner(file, options, Progress.NONE)) {
            TokenRun run = new TokenRun(model.runner());
            for (TinyModels.Case c : TinyModels.cases(name)) {
                assertThat(Logits.distance(run.logits(c.prompt(), 64, 0), c.logits()))
                        .isLessThanOrEqualTo(1e-3f);
                assertThat(run.greedy(c.prompt(), c.greedy().length)).isEqualTo(c.greedy());
            }
        }
    }
}
