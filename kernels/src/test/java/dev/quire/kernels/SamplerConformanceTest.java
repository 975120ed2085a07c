package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.quire.kernels.Devices.Device;
import dev.quire.kernels.Step.SampleSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Sampling on every device. */
class SamplerConformanceTest {
    private static final SampleSpec GREEDY = new SampleSpec(0, 1, 0, 0, 1, 0, 0, -1, 0, 0);
    private static final Step.Limits LIMITS = new Step.Limits(1, 1, 1, 64, 20_000, 4096);

    private record Outcome(int token, float logprob, List<Integer> topTokens, List<Float> topLogprobs) {}

    static List<Device> devices() {
        return Devices.all();
    }

    private static SampleSpec drawing(float temperature, float topP, float minP, int topK, long seed) {
        return new SampleSpec(temperature, topP, minP, topK, 1, 0, 0, -1, seed, 0);
    }

    /** Runs what {@code fill} asks for over one row of logits per array. */
    private static List<Outcome> sample(Rig rig, float[][] logits, Consumer<Step> fill) throws Exception {
        int vocab = logits[0].length;
        float[] all = new float[logits.length * vocab];
        for (int r = 0; r < logits.length; r++) {
            System.arraycopy(logits[r], 0, all, r * vocab, vocab);
        }
        Tensor tensor = rig.tensor("logits", vocab, all);
        List<Outcome> outcomes = new ArrayList<>();
        rig.run(
                List.of(new Op.Sample(tensor)),
                LIMITS,
                step -> {
                    step.beginSequence();
                    step.token(0, 0, -1);
                    Arrays.stream(logits).forEach(row -> step.logits());
                    fill.accept(step);
                },
                step -> {
                    for (int s = 0; s < step.sampleCount(); s++) {
                        outcomes.add(outcome(step, s, Math.min(vocab, Step.MAX_LOGPROBS)));
                    }
                });
        assertThat(rig.read(tensor)).as("logits are not changed").isEqualTo(all);
        rig.release();
        return outcomes;
    }

    private static Outcome outcome(Step step, int s, int n) {
        List<Integer> tokens = new ArrayList<>();
        List<Float> logprobs = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            tokens.add(step.topToken(s, i));
            logprobs.add(step.topLogprob(s, i));
        }
        return new Outcome(step.sampledToken(s), step.logprob(s), tokens, logprobs);
    }

    private static int one(Rig rig, float[] logits, SampleSpec spec, Consumer<Step> extras) throws Exception {
        return sample(rig, new float[][] {logits}, step -> {
                    step.sample(0, -1, 0, spec);
                    extras.accept(step);
                })
                .getFirst()
                .token();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void greedyTakesTheLargestAndOnTiesTheLowestId(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            for (int vocab : new int[] {1, 2, 15, 16, 17, 1000, 49152}) {
                for (int at : new int[] {0, vocab / 2, vocab - 1}) {
                    float[] logits = Rig.gaussian(vocab, 1);
                    logits[at] = 50;
                    assertThat(one(rig, logits, GREEDY, s -> {})).isEqualTo(at);
                    Arrays.fill(logits, at, vocab, 50);
                    assertThat(one(rig, logits, GREEDY, s -> {}))
                            .as("first of the ties")
                            .isEqualTo(at);
                }
            }
            assertThat(one(rig, new float[] {-5, -0f, 0f, -1}, GREEDY, s -> {})).isEqualTo(1);
            assertThat(one(rig, new float[] {-5, -7, -3, -9}, GREEDY, s -> {})).isEqualTo(2);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void biasesMoveAndForbidTokens(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            float[] logits = {1, 2, 3, 4, 5};
            assertThat(one(rig, logits, GREEDY, s -> s.bias(1, 10))).isEqualTo(1);
            assertThat(one(rig, logits, GREEDY, s -> s.bias(4, Float.NEGATIVE_INFINITY)))
                    .isEqualTo(3);
            Consumer<Step> allButZero = s -> {
                for (int i = 1; i < 5; i++) {
                    s.bias(i, Float.NEGATIVE_INFINITY);
                }
            };
            assertThat(one(rig, logits, GREEDY, allButZero)).isZero();
            for (int seed = 0; seed < 20; seed++) {
                assertThat(one(rig, logits, drawing(5, 1, 0, 0, seed), allButZero))
                        .isZero();
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void penaltiesFollowTheCounts(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            float[] logits = {4, 5, -1};
            Consumer<Step> seenInPrompt = s -> s.count(1, 0);
            Consumer<Step> seenTwice = s -> s.count(1, 2);
            assertThat(one(rig, logits, penalties(1.3f, 0, 0), seenInPrompt)).isZero();
            assertThat(one(rig, logits, penalties(1.1f, 0, 0), seenInPrompt)).isEqualTo(1);
            assertThat(one(rig, logits, penalties(1, 2, 2), seenInPrompt)).isEqualTo(1);
            assertThat(one(rig, logits, penalties(1, 1.1f, 0), seenTwice)).isZero();
            assertThat(one(rig, logits, penalties(1, 0.9f, 0), seenTwice)).isEqualTo(1);
            assertThat(one(rig, logits, penalties(1, 0, 0.6f), seenTwice)).isZero();
            assertThat(one(rig, logits, penalties(1, 0, 0.4f), seenTwice)).isEqualTo(1);
            float[] negative = {-2, -1.5f, -3};
            assertThat(one(rig, negative, penalties(1.5f, 0, 0), seenInPrompt))
                    .as("a penalty makes a negative logit smaller")
                    .isZero();
        }
    }

    private static SampleSpec penalties(float repetition, float presence, float frequency) {
        return new SampleSpec(0, 1, 0, 0, repetition, presence, frequency, -1, 0, 0);
    }

    /** Tokens drawn for 1,000 positions. */
    private static List<Integer> draws(Rig rig, float[] logits, SampleSpec spec, int n) throws Exception {
        return sample(rig, new float[][] {logits}, step -> {
                    for (int i = 0; i < n; i++) {
                        step.sample(0, -1, i, spec);
                    }
                })
                .stream()
                .map(Outcome::token)
                .toList();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void cutsLeaveExactlyTheTokensThatTheyShould(Device device) throws Exception {
        float[] p = {0.05f, 0.4f, 0.1f, 0.3f, 0.1f, 0.05f};
        float[] logits = new float[p.length];
        for (int i = 0; i < p.length; i++) {
            logits[i] = (float) Math.log(p[i]);
        }
        try (Rig rig = device.rig()) {
            assertThat(draws(rig, logits, drawing(1, 1, 0, 0, 1), 2000)).contains(0, 1, 2, 3, 4, 5);
            assertOnly(draws(rig, logits, drawing(1, 1, 0, 1, 1), 1000), 1);
            assertOnly(draws(rig, logits, drawing(1, 1, 0, 3, 1), 1000), 1, 3, 2);
            assertOnly(draws(rig, logits, drawing(1, 0.01f, 0, 0, 1), 1000), 1);
            assertOnly(draws(rig, logits, drawing(1, 0.69f, 0, 0, 1), 1000), 1, 3);
            assertOnly(draws(rig, logits, drawing(1, 0.75f, 0, 0, 1), 1000), 1, 3, 2);
            assertOnly(draws(rig, logits, drawing(1, 0.85f, 0, 0, 1), 1000), 1, 3, 2, 4);
            assertOnly(draws(rig, logits, drawing(1, 1, 0.2f, 0, 1), 1000), 1, 2, 3, 4);
            assertOnly(draws(rig, logits, drawing(1, 1, 0.5f, 0, 1), 1000), 1, 3);
            assertOnly(draws(rig, logits, drawing(1, 1, 1, 0, 1), 1000), 1);
            // top_p counts what top_k has left: 0.4 of 0.7 is 57 %.
            assertOnly(draws(rig, logits, drawing(1, 0.5f, 0, 2, 1), 1000), 1);
            assertOnly(draws(rig, logits, drawing(1, 0.6f, 0, 2, 1), 1000), 1, 3);
        }
    }

    private static void assertOnly(List<Integer> tokens, Integer... allowed) {
        assertThat(tokens).containsOnly(allowed);
    }

    @ParameterizedTest
    @MethodSource("devices")
    void drawsFollowTheDistribution(Device device) throws Exception {
        float[] logits = Rig.gaussian(40, 9);
        try (Rig rig = device.rig()) {
            for (float temperature : new float[] {0.7f, 1, 1.6f}) {
                int n = 20_000;
                int[] seen = new int[40];
                draws(rig, logits, drawing(temperature, 1, 0, 0, 77), n).forEach(t -> seen[t]++);
                double total = 0;
                for (float logit : logits) {
                    total += Math.exp(logit / temperature);
                }
                double chiSquare = 0;
                for (int i = 0; i < 40; i++) {
                    double expected = n * Math.exp(logits[i] / temperature) / total;
                    chiSquare += Math.pow(seen[i] - expected, 2) / expected;
                }
                assertThat(chiSquare)
                        .as("39 degrees of freedom, 99.99 %% point")
                        .isLessThan(82);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void drawsAreThoseOfTheOracleWhateverTheCompany(Device device) throws Exception {
        float[][] logits = {Rig.gaussian(3001, 1), Rig.gaussian(3001, 2), Rig.gaussian(3001, 3)};
        Consumer<Step> fill = step -> {
            for (int i = 0; i < 300; i++) {
                SampleSpec spec = new SampleSpec(
                        0.5f + i % 3,
                        i % 2 == 0 ? 0.9f : 1,
                        i % 5 == 0 ? 0.05f : 0,
                        i % 7 * 20,
                        1,
                        0,
                        0,
                        -1,
                        i / 4,
                        i % 4);
                step.sample(i % 3, -1, i * 31, spec);
            }
        };
        List<Outcome> expected;
        try (Rig oracle = Devices.oracle()) {
            expected = sample(oracle, logits, fill);
        }
        try (Rig rig = device.rig()) {
            List<Outcome> actual = sample(rig, logits, fill);
            int same = 0;
            for (int i = 0; i < 300; i++) {
                same += actual.get(i).token() == expected.get(i).token() ? 1 : 0;
            }
            // A random number may fall within rounding of the border between two tokens.
            assertThat(same).isGreaterThanOrEqualTo(298);
            assertThat(sample(rig, logits, fill)).as("again").isEqualTo(actual);
            List<Outcome> alone = sample(
                    rig,
                    logits,
                    step -> step.sample(1, -1, 4 * 31, new SampleSpec(1.5f, 0.9f, 0, 80, 1, 0, 0, -1, 1, 0)));
            assertThat(alone.getFirst().token()).isEqualTo(actual.get(4).token());
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void logProbabilitiesAreOfTheRawLogits(Device device) throws Exception {
        float[] logits = Rig.gaussian(1000, 4);
        logits[17] = logits[600] = 6;
        double total = 0;
        for (float logit : logits) {
            total += Math.exp(logit);
        }
        double normaliser = Math.log(total);
        SampleSpec five = new SampleSpec(0.7f, 1, 0, 0, 1, 0, 0, 5, 3, 0);
        try (Rig rig = device.rig()) {
            List<Outcome> outcomes = sample(rig, new float[][] {logits}, step -> {
                step.sample(0, -1, 0, five);
                step.bias(17, -50);
                step.sample(0, 123, 0, five);
                step.bias(123, Float.NEGATIVE_INFINITY);
                step.sample(0, 600, 0, new SampleSpec(0, 1, 0, 0, 1, 0, 0, 0, 0, 0));
            });
            assertThat(outcomes.get(1).token()).as("a target is not drawn").isEqualTo(123);
            for (Outcome o : outcomes) {
                assertThat((double) o.logprob()).isCloseTo(logits[o.token()] - normaliser, within(2e-5));
            }
            for (Outcome o : outcomes.subList(0, 2)) {
                assertThat(o.topTokens().subList(0, 2)).containsExactly(17, 600);
                for (int i = 0; i < 5; i++) {
                    assertThat((double) o.topLogprobs().get(i))
                            .isCloseTo(logits[o.topTokens().get(i)] - normaliser, within(2e-5));
                }
                assertThat(o.topLogprobs().subList(0, 5)).isSortedAccordingTo((a, b) -> Float.compare(b, a));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void askingForMoreAlternativesThanTokensGivesThemAll(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            SampleSpec twenty = new SampleSpec(0, 1, 0, 0, 1, 0, 0, 20, 0, 0);
            Outcome o = sample(rig, new float[][] {{1, 3, 2}}, step -> step.sample(0, -1, 0, twenty))
                    .getFirst();
            assertThat(o.topTokens()).containsExactly(1, 2, 0);
        }
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
    void logitsThatAreNotFiniteGiveNoToken(float bad) throws Exception {
        for (Device device : Devices.all()) {
            try (Rig rig = device.rig()) {
                float[] logits = Rig.gaussian(100, 1);
                logits[57] = bad;
                List<Outcome> outcomes = sample(rig, new float[][] {logits, Rig.gaussian(100, 2)}, step -> {
                    step.sample(0, -1, 0, GREEDY);
                    step.sample(0, -1, 0, drawing(1, 0.9f, 0, 5, 1));
                    step.sample(0, 3, 0, new SampleSpec(1, 1, 0, 0, 1, 0, 0, 2, 0, 0));
                    step.sample(1, -1, 0, drawing(1, 0.9f, 0, 5, 1));
                });
                assertThat(outcomes.subList(0, 3)).as(device.name()).allMatch(o -> o.token() == -1);
                assertThat(outcomes.get(3).token()).as("another row").isNotNegative();
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void negativeInfinityIsAProbabilityOfZero(Device device) throws Exception {
        float[] logits = new float[100];
        Arrays.fill(logits, Float.NEGATIVE_INFINITY);
        float[] none = logits.clone();
        logits[70] = 1;
        logits[80] = 1;
        SampleSpec drawn = new SampleSpec(1, 0.9f, 0, 5, 1.2f, 0, 0, 3, 1, 0);
        try (Rig rig = device.rig()) {
            List<Outcome> outcomes = sample(rig, new float[][] {logits, none}, step -> {
                step.sample(0, -1, 0, GREEDY);
                step.sample(0, -1, 0, drawn);
                step.sample(1, -1, 0, drawn);
                step.sample(0, -1, 0, GREEDY);
                step.bias(70, Float.NEGATIVE_INFINITY);
                step.bias(80, Float.NEGATIVE_INFINITY);
            });
            assertThat(outcomes.get(0).token()).isEqualTo(70);
            assertThat(outcomes.get(1).token()).isIn(70, 80);
            assertThat((double) outcomes.get(1).logprob()).isCloseTo(Math.log(0.5), within(1e-5));
            assertThat(outcomes.get(2).token()).as("nothing is possible").isEqualTo(-1);
            assertThat(outcomes.get(3).token()).as("everything is forbidden").isEqualTo(-1);
        }
    }
}
