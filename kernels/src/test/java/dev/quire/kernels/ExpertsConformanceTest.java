package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.kernels.Devices.Device;
import dev.quire.kernels.Op.Activation;
import dev.quire.kernels.Op.Rows;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Mixtures of experts on every device and weight type, against the definition in double. */
class ExpertsConformanceTest {
    private static final double FLOAT = 2e-6;
    private static final double INT8 = 3e-2;
    private static final double HIGH = 2e-4;

    /** @param cols width of x; the weights are of one type, whose blocks divide cols and inner */
    private record Shape(int rows, int experts, int chosen, int cols, int inner) {}

    private record Case(DType type, Shape shape, boolean normalised, boolean high, Rows rowsOf) {
        double tolerance() {
            return !type.quantised() ? FLOAT : high ? HIGH : INT8;
        }

        StoredMatrix gate() {
            return StoredMatrix.random(type, shape.experts * shape.inner, shape.cols, 1);
        }

        StoredMatrix up() {
            return StoredMatrix.random(type, shape.experts * shape.inner, shape.cols, 2);
        }

        StoredMatrix down() {
            return StoredMatrix.random(type, shape.experts * shape.cols, shape.inner, 3);
        }
    }

    static List<Device> devices() {
        return Devices.all();
    }

    static DType[] types() {
        return DType.values();
    }

    static Stream<Arguments> devicesAndTypes() {
        return devices().stream().flatMap(d -> Arrays.stream(types()).map(t -> Arguments.of(d, t)));
    }

    private static List<Case> cases(DType type) {
        int k = Math.max(32, type.blockElements());
        int wide = Math.max(96, type.blockElements());
        return List.of(
                new Case(type, new Shape(1, 1, 1, k, k), false, false, Rows.TOKENS),
                new Case(type, new Shape(1, 5, 5, k, wide), true, false, Rows.TOKENS),
                new Case(type, new Shape(7, 7, 3, wide, k), false, true, Rows.LOGITS),
                new Case(type, new Shape(9, 4, 2, 2 * k, 2 * k), true, true, Rows.TOKENS),
                new Case(type, new Shape(70, 3, 2, k, k), true, false, Rows.LOGITS));
    }

    @ParameterizedTest
    @MethodSource("devicesAndTypes")
    void sumsStayWithinTheToleranceOfTheirPrecision(Device device, DType type) throws Exception {
        try (Rig rig = device.rig()) {
            for (Case c : cases(type)) {
                Shape s = c.shape;
                float[] x = Rig.gaussian(s.rows * s.cols, 4);
                float[] logits = Rig.gaussian(s.rows * s.experts, 5);
                float[] before = Rig.gaussian(s.rows * s.cols, 6);
                assertRowsClose(c, run(rig, c, x, logits, before), expected(c, x, logits, before));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devicesAndTypes")
    void aRowDoesNotDependOnTheOtherRows(Device device, DType type) throws Exception {
        int k = Math.max(64, type.blockElements());
        Case many = new Case(type, new Shape(37, 6, 2, k, k), true, false, Rows.TOKENS);
        Case one = new Case(type, new Shape(1, 6, 2, k, k), true, false, Rows.TOKENS);
        float[] x = Rig.gaussian(37 * k, 7);
        float[] logits = Rig.gaussian(37 * 6, 8);
        try (Rig rig = device.rig()) {
            float[] together = run(rig, many, x, logits, new float[37 * k]);
            for (int r : new int[] {0, 1, 16, 36}) {
                float[] row = Arrays.copyOfRange(x, r * k, (r + 1) * k);
                float[] alone = run(rig, one, row, Arrays.copyOfRange(logits, r * 6, (r + 1) * 6), new float[k]);
                assertThat(alone).as("row %d", r).isEqualTo(Arrays.copyOfRange(together, r * k, (r + 1) * k));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("types")
    void allLevelsAndThreadCountsAgreeToTheBit(DType type) throws Exception {
        int k = Math.max(96, type.blockElements());
        Case c = new Case(type, new Shape(19, 5, 3, k, k), false, false, Rows.TOKENS);
        float[] x = Rig.gaussian(19 * k, 9);
        float[] logits = Rig.gaussian(19 * 5, 10);
        float[] first = new float[0];
        for (Device device : devices()) {
            if (device.name().equals("java")) {
                continue;
            }
            try (Rig rig = device.rig()) {
                float[] out = run(rig, c, x, logits, new float[19 * k]);
                first = first.length == 0 ? out : first;
                assertThat(out).as("%s on %s", c, device).isEqualTo(first);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void tiesGoToTheLowestIdAndAllRowsMayChooseOneExpert(Device device) throws Exception {
        Case c = new Case(DType.F32, new Shape(40, 130, 1, 32, 32), true, false, Rows.TOKENS);
        float[] x = Rig.gaussian(40 * 32, 11);
        float[] before = new float[40 * 32];
        float[] equal = new float[40 * 130];
        float[] second = new float[40 * 130];
        for (int r = 0; r < 40; r++) {
            second[r * 130 + 17] = second[r * 130 + 129] = 3;
        }
        try (Rig rig = device.rig()) {
            assertRowsClose(c, run(rig, c, x, equal, before), expected(c, x, equal, before));
            assertRowsClose(c, run(rig, c, x, second, before), expected(c, x, second, before));
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void logitsThatAreNoNumbersReachNoOtherRow(Device device) throws Exception {
        Case c = new Case(DType.Q8_0, new Shape(5, 4, 2, 32, 32), true, false, Rows.TOKENS);
        float[] x = Rig.gaussian(5 * 32, 12);
        float[] logits = Rig.gaussian(5 * 4, 13);
        try (Rig rig = device.rig()) {
            float[] sound = run(rig, c, x, logits, new float[5 * 32]);
            Arrays.fill(logits, 4, 8, Float.NaN);
            logits[8] = Float.POSITIVE_INFINITY;
            Arrays.fill(logits, 12, 16, Float.NEGATIVE_INFINITY);
            float[] out = run(rig, c, x, logits, new float[5 * 32]);
            for (int r : new int[] {0, 4}) {
                assertThat(Arrays.copyOfRange(out, r * 32, (r + 1) * 32))
                        .isEqualTo(Arrays.copyOfRange(sound, r * 32, (r + 1) * 32));
            }
            for (int i = 32; i < 64; i++) {
                assertThat(out[i]).isNaN();
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void whatDoesNotFitIsRefused(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            Tensor x = rig.zeros("x", 2, 64);
            Tensor sum = rig.zeros("sum", 2, 64);
            Tensor logits = rig.zeros("logits", 2, 3);
            Weight gate = rig.weight(StoredMatrix.random(DType.F32, 96, 64, 1));
            Weight down = rig.weight(StoredMatrix.random(DType.F32, 192, 32, 1));
            refused(rig, experts(sum, x, logits, gate, down, 4), "chosen is 4, allowed: 1 to 3");
            refused(rig, experts(sum, x, logits, gate, down, 0), "chosen is 0, allowed: 1 to 3");
            refused(rig, experts(x, x, logits, gate, down, 1), "x and sum");
            refused(rig, experts(sum, x, rig.zeros("logits", 2, 4), gate, down, 1), "gate.rows is 96, allowed:");
            refused(rig, experts(sum, x, logits, down, gate, 1), "gate.cols is 32, allowed: 64");
            refused(
                    rig,
                    experts(rig.zeros("sum", 2, 32), x, logits, gate, down, 1),
                    "sum.cols is 32, allowed: x.cols 64");
            Weight narrow = rig.weight(StoredMatrix.random(DType.F32, 192, 31, 1));
            refused(rig, experts(sum, x, logits, gate, narrow, 1), "down.cols is 31, allowed: a multiple of 32");
        }
    }

    private static Op.Experts experts(Tensor sum, Tensor x, Tensor logits, Weight gate, Weight down, int chosen) {
        return new Op.Experts(
                sum, x, logits, gate, gate, down, chosen, true, true, Activation.SILU, false, Rows.TOKENS);
    }

    private static void refused(Rig rig, Op op, String message) {
        assertThatThrownBy(() -> rig.backend.compile(List.of(op)).close())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(message);
    }

    private static float[] run(Rig rig, Case c, float[] x, float[] logits, float[] before) throws Exception {
        Shape s = c.shape;
        // One row more than the step has: it must not be touched.
        Tensor sum = rig.tensor("sum", s.cols, Arrays.copyOf(before, before.length + s.cols));
        Tensor in = rig.tensor("x", s.cols, Arrays.copyOf(x, x.length + s.cols));
        Tensor router = rig.tensor("logits", s.experts, Arrays.copyOf(logits, logits.length + s.experts));
        Op op = new Op.Experts(
                sum,
                in,
                router,
                rig.weight(c.gate()),
                rig.weight(c.up()),
                rig.weight(c.down()),
                s.chosen,
                c.normalised,
                true,
                Activation.SILU,
                c.high,
                c.rowsOf);
        rig.runRows(List.of(op), s.rows);
        float[] all = rig.read(sum);
        rig.release();
        assertThat(Arrays.copyOfRange(all, before.length, all.length)).containsOnly(0f);
        return Arrays.copyOf(all, before.length);
    }

    private static double[] expected(Case c, float[] x, float[] logits, float[] before) {
        Shape s = c.shape;
        float[] gate = c.gate().floats();
        float[] up = c.up().floats();
        float[] down = c.down().floats();
        double[] sum = new double[s.rows * s.cols];
        for (int r = 0; r < s.rows; r++) {
            int row = r;
            double[] odds = IntStream.range(0, s.experts)
                    .mapToDouble(e -> Math.exp(logits[row * s.experts + e]))
                    .toArray();
            int[] chosen = IntStream.range(0, s.experts)
                    .boxed()
                    .sorted(Comparator.comparingDouble(e -> -odds[e]))
                    .mapToInt(e -> e)
                    .limit(s.chosen)
                    .toArray();
            double total = c.normalised
                    ? Arrays.stream(chosen).mapToDouble(e -> odds[e]).sum()
                    : Arrays.stream(odds).sum();
            for (int i = 0; i < s.cols; i++) {
                sum[r * s.cols + i] = before[r * s.cols + i];
            }
            for (int e : chosen) {
                double[] inner = new double[s.inner];
                for (int i = 0; i < s.inner; i++) {
                    double g = dot(gate, (e * s.inner + i) * s.cols, x, r * s.cols, s.cols);
                    inner[i] = g / (1 + Math.exp(-g)) * dot(up, (e * s.inner + i) * s.cols, x, r * s.cols, s.cols);
                }
                for (int i = 0; i < s.cols; i++) {
                    double out = 0;
                    for (int j = 0; j < s.inner; j++) {
                        out += down[(e * s.cols + i) * s.inner + j] * inner[j];
                    }
                    sum[r * s.cols + i] += odds[e] / total * out;
                }
            }
        }
        return sum;
    }

    private static double dot(float[] a, int at, float[] b, int from, int n) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
            sum += (double) a[at + i] * b[from + i];
        }
        return sum;
    }

    private static void assertRowsClose(Case c, float[] actual, double[] expected) {
        int cols = c.shape.cols;
        for (int r = 0; r < c.shape.rows; r++) {
            double error = 0;
            double norm = 0;
            for (int i = r * cols; i < (r + 1) * cols; i++) {
                error += Math.pow(actual[i] - expected[i], 2);
                norm += Math.pow(expected[i], 2);
            }
            assertThat(Math.sqrt(error / norm))
                    .as("relative error of row %d of %s", r, c)
                    .isLessThan(c.tolerance());
        }
    }
}
