package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The default model's greedy continuations and their log-probabilities against the float32 reference. */
@Tag("model")
class DefaultModelGoldenTest {
    /**
     * @param logprobs of each token of the continuation
     * @param leads over the runner-up, nats
     */
    private record Case(int[] prompt, int[] greedy, double[] logprobs, double[] leads) {
        int[] text() {
            int[] text = Arrays.copyOf(prompt, prompt.length + greedy.length);
            System.arraycopy(greedy, 0, text, prompt.length, greedy.length);
            return text;
        }
    }

    private static List<Case> cases() {
        JsonNode golden = JsonMapper.shared()
                .readTree(Objects.requireNonNull(
                        DefaultModelGoldenTest.class.getResourceAsStream("/default/golden.json")));
        List<Case> cases = new ArrayList<>();
        for (JsonNode c : golden.path("cases")) {
            cases.add(new Case(
                    ints(c.path("prompt")),
                    ints(c.path("greedy")),
                    doubles(c.path("logprobs")),
                    doubles(c.path("leads"))));
        }
        return cases;
    }

    private static int[] ints(JsonNode array) {
        return array.valueStream().mapToInt(JsonNode::intValue).toArray();
    }

    private static double[] doubles(JsonNode array) {
        return array.valueStream().mapToDouble(JsonNode::doubleValue).toArray();
    }

    private static ModelLoader.LoadedRunner load(String device, String kvType, boolean highPrecision, int ranks) {
        LoadOptions options = new LoadOptions(
                device, "auto", 0, 64 << 20, 0, 0.9, kvType, 16, 256, 64, 4, highPrecision, ranks, null);
        return ModelLoader.loadRunner(DefaultModel.file(), options, Progress.NONE);
    }

    /** Feeds the reference's continuation; returns the log-probability of each of its tokens. */
    private static double[] forced(ModelLoader.LoadedRunner model, Case c, int[] argMax) {
        TokenRun run = new TokenRun(model.runner());
        List<float[]> logits = run.logits(c.text(), 64, 0);
        double[] logprobs = new double[c.greedy.length];
        for (int i = 0; i < logprobs.length; i++) {
            float[] row = logits.get(c.prompt.length - 1 + i);
            logprobs[i] = row[c.greedy[i]] - Divergence.logSumExp(row);
            argMax[i] = Divergence.best(row);
        }
        return logprobs;
    }

    private static double worst(double[] seen, double[] expected) {
        double worst = 0;
        for (int i = 0; i < seen.length; i++) {
            worst = Math.max(worst, Math.abs(seen[i] - expected[i]));
        }
        return worst;
    }

    @Test
    void theJavaDeviceGivesTheReferencesTokens() {
        try (ModelLoader.LoadedRunner model = load("java", "f32", false, 1)) {
            Case c = cases().getFirst();
            assertThat(new TokenRun(model.runner()).greedy(c.prompt, 8)).isEqualTo(Arrays.copyOf(c.greedy, 8));
            double worst = worst(forced(model, c, new int[c.greedy.length]), c.logprobs);
            System.out.println("java: largest error of a log-probability " + worst);
            assertThat(worst).isLessThan(1e-3);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void highPrecisionGivesTheReferencesTokens(int ranks) {
        try (ModelLoader.LoadedRunner model = load("cpu", "auto", true, ranks)) {
            for (Case c : cases()) {
                assertThat(new TokenRun(model.runner()).greedy(c.prompt, c.greedy.length))
                        .isEqualTo(c.greedy);
                double worst = worst(forced(model, c, new int[c.greedy.length]), c.logprobs);
                System.out.println(
                        "cpu, high precision, " + ranks + " ranks: largest error of a log-probability " + worst);
                assertThat(worst).isLessThan(0.005);
            }
        }
    }

    @Test
    void defaultPrecisionGivesTheReferencesTokensWhereTheyLeadClearly() {
        try (ModelLoader.LoadedRunner model = load("cpu", "auto", false, 1)) {
            for (Case c : cases()) {
                int[] argMax = new int[c.greedy.length];
                double worst = worst(forced(model, c, argMax), c.logprobs);
                System.out.println("cpu, default precision: largest error of a log-probability " + worst);
                assertThat(worst).isLessThan(0.6);
                for (int i = 0; i < argMax.length; i++) {
                    assertThat(argMax[i] == c.greedy[i] || c.leads[i] < 0.5)
                            .as("token %d", i)
                            .isTrue();
                }
            }
        }
    }
}
