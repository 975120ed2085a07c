package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.kernels.Devices.Device;
import dev.quire.kernels.Op.Rows;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Linear layers of every weight type on every device, against sums in double of the dequantised weights. */
class LinearConformanceTest {
    private static final double INT8 = 0.01;
    private static final double HIGH = 0.0001;
    private static final double FLOAT = 0.00001;

    /** One layer: rows of x, the parts' rows, columns. */
    private record Shape(int m, int[] parts, int k) {
        int n() {
            return Arrays.stream(parts).sum();
        }
    }

    private record Case(DType type, Shape shape, boolean bias, boolean add, boolean high, Rows rows) {
        Case(DType type, Shape shape, boolean high) {
            this(type, shape, false, false, high, Rows.TOKENS);
        }

        double tolerance() {
            return !type.quantised() ? FLOAT : high ? HIGH : INT8;
        }
    }

    static Stream<Arguments> devicesAndTypes() {
        return Devices.all().stream().flatMap(d -> Arrays.stream(DType.values()).map(t -> Arguments.of(d, t)));
    }

    private static List<Case> cases(DType type) {
        int k = Math.max(64, type.blockElements());
        List<Case> cases = new ArrayList<>();
        for (boolean high : new boolean[] {false, true}) {
            for (int m : new int[] {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33}) {
                cases.add(new Case(type, new Shape(m, new int[] {40}, 3 * k), high));
            }
            for (int n : new int[] {1, 15, 16, 17, 31, 63, 65, 130}) {
                cases.add(new Case(type, new Shape(3, new int[] {n}, k), high));
            }
            cases.add(new Case(type, new Shape(5, new int[] {48, 16, 16}, k), high));
            cases.add(new Case(type, new Shape(5, new int[] {33, 7}, 2 * k), true, false, high, Rows.TOKENS));
            cases.add(new Case(type, new Shape(5, new int[] {33}, 2 * k), true, true, high, Rows.LOGITS));
            cases.add(new Case(type, new Shape(1, new int[] {64}, k), false, true, high, Rows.TOKENS));
        }
        if (type.quantised()) {
            cases.add(new Case(type, new Shape(2, new int[] {24}, type.blockElements()), false));
            cases.add(new Case(type, new Shape(2, new int[] {24}, 9 * type.blockElements()), false));
        } else {
            cases.add(new Case(type, new Shape(2, new int[] {24}, 1), false));
            cases.add(new Case(type, new Shape(2, new int[] {24}, 37), false));
        }
        return cases;
    }

    @ParameterizedTest
    @MethodSource("devicesAndTypes")
    void productsStayWithinTheToleranceOfTheirPrecision(Device device, DType type) throws Exception {
        try (Rig rig = device.rig()) {
            for (Case c : cases(type)) {
                float[] x = Rig.gaussian(c.shape.m * c.shape.k, 1);
                float[] before = Rig.gaussian(c.shape.m * c.shape.n(), 2);
                assertRowsClose(c, run(rig, c, x, before), expected(c, x, before));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("devicesAndTypes")
    void aRowDoesNotDependOnTheOtherRows(Device device, DType type) throws Exception {
        int k = 2 * Math.max(128, type.blockElements());
        int m = 37;
        float[] x = Rig.gaussian(m * k, 3);
        try (Rig rig = device.rig()) {
            for (boolean high : new boolean[] {false, true}) {
                Case many = new Case(type, new Shape(m, new int[] {50, 21}, k), high);
                float[] together = run(rig, many, x, new float[m * 71]);
                for (int r : new int[] {0, 1, 15, 16, 36}) {
                    Case one = new Case(type, new Shape(1, many.shape.parts, k), high);
                    float[] alone = run(rig, one, Arrays.copyOfRange(x, r * k, (r + 1) * k), new float[71]);
                    assertThat(alone)
                            .as("%s row %d", many, r)
                            .isEqualTo(Arrays.copyOfRange(together, r * 71, (r + 1) * 71));
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("types")
    void allLevelsAndThreadCountsAgreeToTheBit(DType type) throws Exception {
        int k = 3 * Math.max(96, type.blockElements());
        for (boolean high : new boolean[] {false, true}) {
            Case c = new Case(type, new Shape(9, new int[] {77}, k), high);
            float[] x = Rig.gaussian(c.shape.m * k, 4);
            float[] first = new float[0];
            for (Device device : Devices.all()) {
                if (device.name().equals("java")) {
                    continue;
                }
                try (Rig rig = device.rig()) {
                    float[] out = run(rig, c, x, new float[c.shape.m * c.shape.n()]);
                    first = first.length == 0 ? out : first;
                    assertThat(out).as("%s on %s", c, device).isEqualTo(first);
                }
            }
        }
    }

    static DType[] types() {
        return DType.values();
    }

    @ParameterizedTest
    @MethodSource("devicesAndTypes")
    void zerosAndHugeRowsStayFinite(Device device, DType type) throws Exception {
        int k = Math.max(64, type.blockElements());
        float[] x = new float[3 * k];
        Arrays.fill(x, k, 2 * k, 1e30f);
        Arrays.fill(x, 2 * k, 3 * k, 1e-30f);
        try (Rig rig = device.rig()) {
            float[] out = run(rig, new Case(type, new Shape(3, new int[] {8}, k), false), x, new float[24]);
            for (int i = 0; i < 8; i++) {
                assertThat(Math.abs(out[i])).isZero();
            }
            for (float value : out) {
                assertThat(value).isFinite();
            }
        }
    }

    private static List<StoredMatrix> matrices(Case c) {
        List<StoredMatrix> matrices = new ArrayList<>();
        for (int i = 0; i < c.shape.parts.length; i++) {
            matrices.add(StoredMatrix.random(c.type, c.shape.parts[i], c.shape.k, 10 + i));
        }
        return matrices;
    }

    private static float[] bias(Case c) {
        return Rig.gaussian(c.shape.n(), 5);
    }

    private static float[] run(Rig rig, Case c, float[] x, float[] before) throws Exception {
        int n = c.shape.n();
        // One row more than the step has: it must not be touched.
        Tensor out = rig.tensor("out", n, Arrays.copyOf(before, before.length + n));
        Tensor in = rig.tensor("x", c.shape.k, Arrays.copyOf(x, x.length + c.shape.k));
        List<Weight> parts = matrices(c).stream().map(rig::weight).toList();
        Tensor bias = c.bias ? rig.tensor("bias", n, bias(c)) : null;
        rig.runRows(List.of(new Op.Linear(out, in, parts, bias, c.add, c.high, c.rows)), c.shape.m);
        float[] all = rig.read(out);
        rig.release();
        assertThat(Arrays.copyOfRange(all, before.length, all.length)).containsOnly(0f);
        return Arrays.copyOf(all, before.length);
    }

    /** Exact outputs and, for each, the size that such a sum typically has: |x| |w| / sqrt(k). */
    private record Expected(double[] values, double[] typical) {}

    private static Expected expected(Case c, float[] x, float[] before) {
        int n = c.shape.n();
        int k = c.shape.k;
        Expected out = new Expected(new double[c.shape.m * n], new double[c.shape.m * n]);
        float[] bias = bias(c);
        int column = 0;
        for (StoredMatrix matrix : matrices(c)) {
            float[] w = matrix.floats();
            for (int i = 0; i < matrix.rows(); i++, column++) {
                for (int r = 0; r < c.shape.m; r++) {
                    double sum = (c.bias ? bias[column] : 0) + (c.add ? before[r * n + column] : 0);
                    double xx = 0;
                    double ww = 0;
                    for (int j = 0; j < k; j++) {
                        sum += (double) x[r * k + j] * w[i * k + j];
                        xx += (double) x[r * k + j] * x[r * k + j];
                        ww += (double) w[i * k + j] * w[i * k + j];
                    }
                    out.values[r * n + column] = sum;
                    out.typical[r * n + column] = Math.sqrt(xx * ww / k);
                }
            }
        }
        return out;
    }

    /** The error of each row relative to its norm; a lucky cancellation in a short row does not count as a small norm. */
    private static void assertRowsClose(Case c, float[] actual, Expected expected) {
        int n = c.shape.n();
        for (int r = 0; r < c.shape.m; r++) {
            double error = 0;
            double norm = 0;
            for (int i = r * n; i < (r + 1) * n; i++) {
                error += Math.pow(actual[i] - expected.values[i], 2);
                norm += Math.pow(Math.max(Math.abs(expected.values[i]), expected.typical[i]), 2);
            }
            assertThat(Math.sqrt(error / norm))
                    .as("relative error of row %d of %s", r, c)
                    .isLessThan(c.tolerance());
        }
    }
}
