package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.kernels.Devices.Device;
import dev.quire.kernels.Op.Activation;
import dev.quire.kernels.Op.Rows;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Operations that treat rows one by one, on every device, against formulas in double. */
class RowOpsConformanceTest {
    private static final Step.Limits LIMITS = new Step.Limits(64, 4, 4, 64, 1, 1);

    static List<Device> devices() {
        return Devices.all();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void embeddingsAreTheDequantisedRowsScaled(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            for (DType type : DType.values()) {
                for (int cols : new int[] {1, 3, 5}) {
                    int k = cols * Math.max(type.blockElements(), 17);
                    k -= k % type.blockElements();
                    StoredMatrix matrix = StoredMatrix.random(type, 9, k, 1);
                    int[] tokens = {8, 0, 3, 3, 7};
                    Tensor out = rig.zeros("out", tokens.length + 1, k);
                    runTokens(rig, new Op.Embed(out, rig.weight(matrix), 1.5f), tokens);
                    float[] actual = rig.read(out);
                    float[] rows = matrix.floats();
                    double[] expected = new double[tokens.length * k];
                    for (int i = 0; i < expected.length; i++) {
                        expected[i] = rows[tokens[i / k] * k + i % k] * 1.5f;
                    }
                    double minima = type == DType.Q4_1 || type == DType.Q4_K ? Math.scalb(largest(expected), -14) : 0;
                    Rig.assertClose(type.toString(), actual, expected, i -> Math.ulp((float) expected[i]) + minima);
                    assertUntouched(actual, tokens.length * k);
                    rig.release();
                }
            }
        }
    }

    /** Minima of these types are kept as 16-bit parts of a row's largest factor. */
    private static double largest(double[] values) {
        return Arrays.stream(values).map(Math::abs).max().orElseThrow();
    }

    private static void runTokens(Rig rig, Op op, int[] tokens) {
        rig.run(
                List.of(op),
                LIMITS,
                step -> {
                    step.beginSequence();
                    for (int t = 0; t < tokens.length; t++) {
                        step.token(tokens[t], t, -1);
                    }
                },
                step -> {});
    }

    private static void assertUntouched(float[] values, int from) {
        assertThat(Arrays.copyOfRange(values, from, values.length)).containsOnly(0f);
    }

    @ParameterizedTest
    @MethodSource("devices")
    void rmsNormDividesByTheRootMeanSquare(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            for (int cols : new int[] {1, 7, 8, 15, 16, 17, 63, 64, 576, 1000}) {
                float[] x = Rig.gaussian(5 * cols, cols);
                Arrays.fill(x, 0, cols, 0f);
                float[] weight = Rig.gaussian(cols, 2);
                Tensor in = rig.tensor("x", cols, x);
                Tensor out = rig.zeros("out", 6, cols);
                Op norm = new Op.RmsNorm(out, in, rig.tensor("weight", cols, weight), 1e-5f, Rows.LOGITS);
                rig.runRows(List.of(norm), 5);
                float[] actual = rig.read(out);
                double[] expected = new double[5 * cols];
                for (int r = 0; r < 5; r++) {
                    double sum = 0;
                    for (int i = 0; i < cols; i++) {
                        sum += (double) x[r * cols + i] * x[r * cols + i];
                    }
                    double scale = 1 / Math.sqrt(sum / cols + 1e-5f);
                    for (int i = 0; i < cols; i++) {
                        expected[r * cols + i] = x[r * cols + i] * scale * weight[i];
                    }
                }
                Rig.assertClose(cols + " columns", actual, expected, i -> 2e-6 * Math.abs(expected[i]));
                assertUntouched(actual, 5 * cols);
                rig.release();
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void rmsNormWorksInPlace(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            float[] x = Rig.gaussian(3 * 100, 1);
            Tensor weight = rig.tensor("weight", 100, Rig.gaussian(100, 2));
            Tensor apart = rig.zeros("out", 3, 100);
            Tensor inPlace = rig.tensor("x", 100, x);
            rig.runRows(List.of(new Op.RmsNorm(apart, rig.tensor("x", 100, x), weight, 1e-6f, Rows.TOKENS)), 3);
            rig.runRows(List.of(new Op.RmsNorm(inPlace, inPlace, weight, 1e-6f, Rows.TOKENS)), 3);
            assertThat(rig.read(inPlace)).isEqualTo(rig.read(apart));
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void gatedMultipliesTheActivationWithTheOtherHalf(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            for (int inner : new int[] {1, 7, 16, 17, 100, 1536}) {
                float[] x = Rig.gaussian(4 * 2 * inner, inner);
                x[0] = 100;
                x[2 * inner] = -100;
                x[4 * inner] = 0;
                for (Activation activation : Activation.values()) {
                    Tensor out = rig.zeros("out", 5, inner);
                    rig.runRows(
                            List.of(new Op.Gated(out, rig.tensor("gateUp", 2 * inner, x), activation, Op.Rows.TOKENS)),
                            4);
                    float[] actual = rig.read(out);
                    double[] expected = new double[4 * inner];
                    double[] tolerance = new double[4 * inner];
                    for (int i = 0; i < 4 * inner; i++) {
                        int at = i / inner * 2 * inner + i % inner;
                        expected[i] = activate(activation, x[at]) * x[at + inner];
                        tolerance[i] = 4e-6 * Math.abs(x[at] * x[at + inner]) + 1e-12;
                    }
                    Rig.assertClose(activation.toString(), actual, expected, i -> tolerance[i]);
                    assertUntouched(actual, 4 * inner);
                    rig.release();
                }
            }
        }
    }

    private static double activate(Activation activation, double x) {
        double z = activation == Activation.SILU ? x : 2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * Math.pow(x, 3));
        return x / (1 + Math.exp(-z)); // (1 + tanh(z / 2)) / 2 is the logistic function of z
    }

    @ParameterizedTest
    @MethodSource("devices")
    void gatherTakesTheRowsThatWantLogits(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            float[] x = Rig.gaussian(6 * 33, 1);
            Tensor out = rig.zeros("out", 4, 33);
            rig.run(
                    List.of(new Op.GatherRows(out, rig.tensor("x", 33, x))),
                    LIMITS,
                    step -> {
                        step.beginSequence();
                        for (int t = 0; t < 6; t++) {
                            step.token(0, t, -1);
                            if (t % 2 == 1) {
                                step.logits();
                            }
                        }
                    },
                    step -> {});
            float[] actual = rig.read(out);
            for (int r = 0; r < 3; r++) {
                assertThat(Arrays.copyOfRange(actual, r * 33, (r + 1) * 33))
                        .isEqualTo(Arrays.copyOfRange(x, (2 * r + 1) * 33, (2 * r + 2) * 33));
            }
            assertUntouched(actual, 3 * 33);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void copyBlocksCopiesEachPairInEachRegion(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            byte[] before = new byte[3 * 1000 + 40];
            new Random(1).nextBytes(before);
            Buffer cache = rig.buffer("cache", before);
            rig.run(
                    List.of(new Op.CopyBlocks(cache, 3, 1000, 96)),
                    LIMITS,
                    step -> {
                        step.copyBlock(0, 9);
                        step.copyBlock(4, 2);
                    },
                    step -> {});
            byte[] expected = before.clone();
            for (int r = 0; r < 3; r++) {
                System.arraycopy(before, r * 1000, expected, r * 1000 + 9 * 96, 96);
                System.arraycopy(before, r * 1000 + 4 * 96, expected, r * 1000 + 2 * 96, 96);
            }
            assertThat(rig.read(cache)).isEqualTo(expected);
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void swapBlocksTakesBlocksOutBeforeOthersComeIn(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            byte[] before = new byte[3 * 1000 + 40];
            byte[] kept = new byte[4 * 3 * 96];
            new Random(1).nextBytes(before);
            new Random(2).nextBytes(kept);
            Buffer cache = rig.buffer("cache", before);
            Buffer host = rig.buffer("host", kept);
            rig.run(
                    List.of(new Op.SwapBlocks(cache, 3, 1000, 96, host, 4)),
                    new Step.Limits(1, 1, 1, 1, 1, 1, 2),
                    step -> {
                        step.swapOut(4, 2);
                        step.swapIn(2, 9);
                        step.swapIn(3, 4);
                    },
                    step -> {});
            byte[] onDevice = before.clone();
            byte[] onHost = kept.clone();
            for (int r = 0; r < 3; r++) {
                System.arraycopy(before, r * 1000 + 4 * 96, onHost, (2 * 3 + r) * 96, 96);
                System.arraycopy(before, r * 1000 + 4 * 96, onDevice, r * 1000 + 9 * 96, 96);
                System.arraycopy(kept, (3 * 3 + r) * 96, onDevice, r * 1000 + 4 * 96, 96);
            }
            assertThat(rig.read(cache)).isEqualTo(onDevice);
            assertThat(rig.read(host)).isEqualTo(onHost);
        }
    }
}
