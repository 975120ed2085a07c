package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import dev.quire.kernels.Devices.Device;
import dev.quire.kernels.Op.KvLayer;
import dev.quire.kernels.Op.KvType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Head norms, rotation and the write into the cache, on every device, against rotation of complex numbers. */
class RopeConformanceTest {
    private static final int TOKENS = 7;
    private static final int[] POSITIONS = {0, 1, 17, 40, 41, 99, 5};
    private static final int[] SLOTS = {0, 95, 33, -1, 16, 47, 15};
    private static final float EPS = 1e-6f;

    private record Case(
            int heads, int kvHeads, int headDim, int rotaryDim, boolean interleaved, boolean norms, KvType type) {}

    static Stream<Arguments> devicesAndCases() {
        List<Case> cases = new ArrayList<>();
        for (KvType type : KvType.values()) {
            for (boolean interleaved : new boolean[] {false, true}) {
                cases.add(new Case(9, 3, 64, 64, interleaved, false, type));
                cases.add(new Case(4, 2, 16, 16, interleaved, true, type));
                cases.add(new Case(2, 2, 80, 32, interleaved, false, type));
                cases.add(new Case(4, 1, 128, 128, interleaved, true, type));
                cases.add(new Case(1, 1, 20, 6, interleaved, true, type));
            }
        }
        return Devices.all().stream().flatMap(d -> cases.stream().map(c -> Arguments.of(d, c)));
    }

    @ParameterizedTest
    @MethodSource("devicesAndCases")
    void headsAreNormedRotatedAndStoredAtTheirSlots(Device device, Case c) throws Exception {
        int width = (c.heads + 2 * c.kvHeads) * c.headDim;
        float[] qkv = Rig.gaussian(TOKENS * width, 1);
        float[] qNorm = Rig.gaussian(c.headDim, 2);
        float[] kNorm = Rig.gaussian(c.headDim, 3);
        PagedCache before = new PagedCache(6, 16, c.kvHeads, c.headDim, c.type).randomise(4);
        try (Rig rig = device.rig()) {
            KvLayer layer = before.upload(rig);
            Tensor q = rig.zeros("q", TOKENS + 1, c.heads * c.headDim);
            Tensor input = rig.tensor("qkv", width, qkv);
            run(
                    rig,
                    new Op.RopeKv(
                            q,
                            input,
                            c.norms ? rig.tensor("qNorm", c.headDim, qNorm) : null,
                            c.norms ? rig.tensor("kNorm", c.headDim, kNorm) : null,
                            rig.tensor("cosSin", c.rotaryDim, cosSin(c)),
                            layer,
                            c.heads,
                            c.rotaryDim,
                            c.interleaved,
                            EPS));
            float[] actualQ = rig.read(q);
            PagedCache after = before.download(rig, layer);
            for (int t = 0; t < TOKENS; t++) {
                for (int h = 0; h < c.heads; h++) {
                    double[] expected = head(c, qkv, t * width + h * c.headDim, c.norms ? qNorm : null, POSITIONS[t]);
                    for (int i = 0; i < c.headDim; i++) {
                        double actual = actualQ[(t * c.heads + h) * c.headDim + i];
                        assertThat(actual).as("q %d %d %d", t, h, i).isCloseTo(expected[i], within(1e-5));
                    }
                }
                if (SLOTS[t] >= 0) {
                    assertStored(c, after, qkv, t, kNorm);
                }
            }
            assertOnlyTheSlotsChanged(before, after);
        }
    }

    private static void run(Rig rig, Op op) {
        rig.run(
                List.of(op),
                new Step.Limits(TOKENS, 1, 6, 1, 1, 1),
                step -> {
                    step.beginSequence();
                    for (int t = 0; t < TOKENS; t++) {
                        step.token(0, POSITIONS[t], SLOTS[t]);
                    }
                },
                step -> {});
    }

    private static double angle(Case c, int position, int pair) {
        return position * Math.pow(10000, -2.0 * pair / c.rotaryDim);
    }

    private static float[] cosSin(Case c) {
        int half = c.rotaryDim / 2;
        float[] table = new float[100 * c.rotaryDim];
        for (int p = 0; p < 100; p++) {
            for (int i = 0; i < half; i++) {
                table[p * c.rotaryDim + i] = (float) Math.cos(angle(c, p, i));
                table[p * c.rotaryDim + half + i] = (float) Math.sin(angle(c, p, i));
            }
        }
        return table;
    }

    private static double[] head(Case c, float[] qkv, int at, float @Nullable [] norm, int position) {
        double[] out = new double[c.headDim];
        double sum = 0;
        for (int i = 0; i < c.headDim; i++) {
            sum += (double) qkv[at + i] * qkv[at + i];
        }
        for (int i = 0; i < c.headDim; i++) {
            out[i] = norm == null ? qkv[at + i] : qkv[at + i] * norm[i] / Math.sqrt(sum / c.headDim + EPS);
        }
        for (int pair = 0; pair < c.rotaryDim / 2; pair++) {
            int a = c.interleaved ? 2 * pair : pair;
            int b = c.interleaved ? 2 * pair + 1 : pair + c.rotaryDim / 2;
            double length = Math.hypot(out[a], out[b]);
            double turned = Math.atan2(out[b], out[a]) + angle(c, position, pair);
            out[a] = length * Math.cos(turned);
            out[b] = length * Math.sin(turned);
        }
        return out;
    }

    private static void assertStored(Case c, PagedCache after, float[] qkv, int t, float[] kNorm) {
        int width = (c.heads + 2 * c.kvHeads) * c.headDim;
        for (int h = 0; h < c.kvHeads; h++) {
            int keyAt = t * width + (c.heads + h) * c.headDim;
            int valueAt = keyAt + c.kvHeads * c.headDim;
            double[] key = head(c, qkv, keyAt, c.norms ? kNorm : null, POSITIONS[t]);
            double[] value = new double[c.headDim];
            for (int i = 0; i < c.headDim; i++) {
                value[i] = qkv[valueAt + i];
            }
            if (c.type.scaled()) {
                double limit = c.type == KvType.INT8 ? 127 : 448;
                assertThat(after.keyScale(SLOTS[t], h))
                        .isCloseTo((float) (largest(key) / limit), withinPercentage(1e-3));
                assertThat(after.valueScale(SLOTS[t], h))
                        .isCloseTo((float) (largest(value) / limit), withinPercentage(1e-3));
            }
            for (int i = 0; i < c.headDim; i++) {
                assertThat(after.key(SLOTS[t], h, i))
                        .as("key %d %d %d", t, h, i)
                        .isCloseTo((float) key[i], within((float) tolerance(c.type, key, key[i])));
                assertThat(after.value(SLOTS[t], h, i))
                        .as("value %d %d %d", t, h, i)
                        .isCloseTo((float) value[i], within((float) tolerance(c.type, value, value[i])));
            }
        }
    }

    private static double largest(double[] head) {
        return Arrays.stream(head).map(Math::abs).max().orElseThrow();
    }

    /** Half of the distance to the next number of the type, and what the rotation may be off. */
    private static double tolerance(KvType type, double[] head, double value) {
        double unit = largest(head) / (type == KvType.INT8 ? 127 : 448);
        return switch (type) {
            case F32 -> 1e-5;
            case BF16 -> 1e-5 + Math.abs(value) * 0x1p-8;
            case INT8 -> 1e-5 + unit / 2;
            case FP8 -> 1e-5 + Math.max(Math.abs(value) * 0x1p-4, unit * 0x1p-10);
        };
    }

    private static void assertOnlyTheSlotsChanged(PagedCache before, PagedCache after) {
        for (int slot = 0; slot < before.blocks * before.blockTokens; slot++) {
            int s = slot;
            if (Arrays.stream(SLOTS).noneMatch(x -> x == s)) {
                for (int h = 0; h < before.kvHeads; h++) {
                    for (int i = 0; i < before.headDim; i++) {
                        if (after.key(slot, h, i) != before.key(slot, h, i)
                                || after.value(slot, h, i) != before.value(slot, h, i)) {
                            fail("slot %d head %d element %d was overwritten", slot, h, i);
                        }
                    }
                }
            }
        }
    }
}
