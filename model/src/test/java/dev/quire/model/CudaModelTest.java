package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.kernels.Backends;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The tiny models on the CUDA library, whose kernels run on the CPU here: bfloat16 against the float32 reference. */
class CudaModelTest {
    private static ModelLoader.LoadedRunner load(String name, String device, int ranks) {
        LoadOptions options =
                new LoadOptions(device, "auto", 2, 64 << 20, 0, 0.9, "auto", 16, 0, 64, 8, false, ranks, null);
        return ModelLoader.loadRunner(TinyModels.folder(name), options, Progress.NONE);
    }

    /** Of the device's memory, little enough that the cache of a tiny model fills it. */
    private static final double SHARE = 0.0005;

    private static final long PAGE = 4096;

    /** Largest error of a logit, in units of the largest logit of its row. */
    private static final float BOUND = 0.08f;

    @BeforeAll
    static void deviceIsThere() {
        try {
            Backends.open("cuda", "auto", 1).close();
        } catch (IllegalStateException e) {
            Assumptions.abort(e.getMessage());
        }
    }

    /** Each model on one device, and with half of its heads and columns on each of two where it is split at all. */
    static Stream<Arguments> models() {
        return TinyModels.names().stream()
                .flatMap(name -> IntStream.of(1, 2)
                        .filter(ranks -> ranks == 1 || isSplit(name))
                        .mapToObj(ranks -> Arguments.of(name, ranks)));
    }

    /** Not a feed-forward block with one group of columns, nor experts of 64. */
    private static boolean isSplit(String name) {
        return !name.equals("llama-fp8-tensors") && !name.equals("qwen3-moe-dense-layers");
    }

    @ParameterizedTest
    @MethodSource("models")
    void logitsAreNearThoseOfTheReference(String name, int ranks) {
        try (ModelLoader.LoadedRunner model = load(name, "cuda", ranks)) {
            assertThat(model.kvType()).isEqualTo("bf16");
            TokenRun run = new TokenRun(model.runner());
            float worst = 0;
            for (TinyModels.Case c : TinyModels.cases(name)) {
                worst = Math.max(worst, Logits.relativeDistance(run.logits(c.prompt(), 64, 0), c.logits()));
                worst = Math.max(worst, Logits.relativeDistance(run.logits(c.prompt(), 5, 8), c.logits()));
            }
            System.out.println(name + " on " + ranks + " cuda: largest error of a logit " + worst);
            assertThat(worst).isLessThanOrEqualTo(BOUND);
        }
    }

    static Stream<Arguments> modelsAndCodes() {
        return TinyModels.namesWithCodes().stream()
                .flatMap(name -> Stream.of("int8", "fp8").map(kvType -> Arguments.of(name, kvType)));
    }

    @ParameterizedTest
    @MethodSource("modelsAndCodes")
    void logitsOfACacheOfCodesAreNearThoseOfAReferenceWithSuchACache(String name, String kvType) {
        LoadOptions options =
                new LoadOptions("cuda", "auto", 2, 64 << 20, 0, 0.9, kvType, 16, 0, 64, 8, false, 1, null);
        try (ModelLoader.LoadedRunner model = ModelLoader.loadRunner(TinyModels.folder(name), options, Progress.NONE)) {
            assertThat(model.kvType()).isEqualTo(kvType);
            TokenRun run = new TokenRun(model.runner());
            int[] prompt = TinyModels.cases(name).getLast().prompt();
            List<float[]> expected = TinyModels.logitsOfCodes(name, kvType);
            float worst = Logits.relativeDistance(run.logits(prompt, 64, 0), expected);
            worst = Math.max(worst, Logits.relativeDistance(run.logits(prompt, 5, 8), expected));
            System.out.println(name + " on cuda, " + kvType + ": largest error of a logit " + worst);
            assertThat(worst).isLessThanOrEqualTo(3 * BOUND); // some codes are others than the reference's
        }
    }

    /** Each token is the reference's best after the tokens before it, or within rounding of it. */
    @ParameterizedTest
    @MethodSource("models")
    void greedyTokensAreTheBestOfTheCpu(String name, int ranks) {
        try (ModelLoader.LoadedRunner model = load(name, "cuda", ranks);
                ModelLoader.LoadedRunner cpu = load(name, "cpu", 1)) {
            int same = 0;
            int all = 0;
            for (TinyModels.Case c : TinyModels.cases(name)) {
                int[] greedy = new TokenRun(model.runner()).greedy(c.prompt(), c.greedy().length);
                int[] text = Arrays.copyOf(c.prompt(), c.prompt().length + greedy.length);
                System.arraycopy(greedy, 0, text, c.prompt().length, greedy.length);
                List<float[]> logits = new TokenRun(cpu.runner()).logits(text, 64, 0);
                for (int n = c.prompt().length; n < text.length; n++) {
                    float behind = behindTheBest(logits.get(n - 1), text[n]);
                    assertThat(behind).isLessThanOrEqualTo(2 * BOUND);
                    same += behind == 0 ? 1 : 0;
                    all++;
                }
            }
            System.out.println(
                    name + " on " + ranks + " cuda: " + same + " of " + all + " greedy tokens are the reference's");
            assertThat(same).isGreaterThanOrEqualTo(all * 9 / 10);
        }
    }

    static Stream<Arguments> modelsWithClearPrompts() {
        List<String> names = TinyModels.namesWithClearPrompts();
        return models().filter(model -> names.contains(model.get()[0]));
    }

    /** Where no choice is close, bfloat16 makes the reference's. */
    @ParameterizedTest
    @MethodSource("modelsWithClearPrompts")
    void clearTokensAreThoseOfTheReference(String name, int ranks) {
        List<TinyModels.Clear> cases = TinyModels.clear(name);
        assertThat(cases).isNotEmpty();
        try (ModelLoader.LoadedRunner model = load(name, "cuda", ranks)) {
            TokenRun run = new TokenRun(model.runner());
            for (TinyModels.Clear c : cases) {
                assertThat(run.greedy(c.prompt(), c.greedy().length)).isEqualTo(c.greedy());
            }
        }
    }

    @Test
    void tokensCarriedOnTheDeviceAreThoseThatTheHostWouldHaveGiven() {
        try (ModelLoader.LoadedRunner model = load("llama-tied", "cuda", 1)) {
            DeviceRunner runner = model.runner();
            TokenRun run = new TokenRun(runner);
            for (TinyModels.Case c : TinyModels.cases("llama-tied")) {
                assertThat(run.greedyAhead(c.prompt(), 20)).isEqualTo(run.greedy(c.prompt(), 20));
            }
            assertThat(runner.queue()).isEqualTo(2);
            Batch.Row first =
                    new Batch.Row(new int[] {1, 0}, 0, 1, run.blocks(0, 2), List.of(TokenRun.GREEDY), 0, 0, 0);
            ModelRunner.Pending pending = runner.launch(new Batch(List.of(first), new int[0]));
            Batch.Row second = new Batch.Row(new int[] {1, 0}, 1, 2, run.blocks(0, 2), List.of(), 0, 0, 0);
            second.carry(1);
            assertThatThrownBy(() -> runner.launch(new Batch(List.of(second), new int[0])))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("carried from sample 1 of the step before, which has 1");
            second.carry(0);
            ModelRunner.Pending behind = runner.launch(new Batch(List.of(second), new int[0]));
            assertThatThrownBy(() -> runner.launch(new Batch(List.of(second), new int[0])))
                    .isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(behind::await).hasMessageContaining("not the first");
            assertThat(pending.await().deviceNanos()).isPositive();
            behind.await();
        }
    }

    /** A cache that is to have what a share of the device leaves, and steps that then find their memory there. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void stepsTakeNoMemoryThatTheCacheWasNotDenied(int ranks) {
        LoadOptions options =
                new LoadOptions("cuda", "auto", 2, 0, 0, SHARE, "auto", 16, 0, 128, 64 * ranks, false, ranks, null);
        try (ModelLoader.LoadedRunner model =
                ModelLoader.loadRunner(TinyModels.folder("llama-tied"), options, Progress.NONE)) {
            long total = model.devices().rank(0).device().memoryBytes();
            long free = free(model, 0);
            long block = model.kvBytes() / model.runner().limits().kvBlocks() / ranks;
            assertThat(total - free).isBetween((long) (total * SHARE) - 2 * block, (long) (total * SHARE) + PAGE);
            TokenRun run = new TokenRun(model.runner());
            int longest = model.config().maxPositions();
            int[] text = new int[longest];
            run.logits(text, 64, 0);
            Batch.Row last = new Batch.Row(
                    text, longest - 8, longest, run.blocks(0, longest), List.of(TokenRun.GREEDY), 0, 0, 0);
            run.step(Collections.nCopies(8, last).toArray(Batch.Row[]::new));
            assertThat(free(model, 0)).isEqualTo(free);
            assertThat(free(model, ranks - 1)).isGreaterThanOrEqualTo(free); // the first rank has all logits too
        }
    }

    private static long free(ModelLoader.LoadedRunner model, int rank) {
        return model.devices().rank(rank).freeBytes().orElseThrow();
    }

    /** How far the logit of a token lies below the largest, in units of it. */
    private static float behindTheBest(float[] logits, int token) {
        float best = logits[0];
        for (float logit : logits) {
            best = Math.max(best, logit);
        }
        return (best - logits[token]) / best;
    }
}
