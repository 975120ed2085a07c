package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.kernels.Devices.Device;
import dev.quire.kernels.Op.KvLayer;
import dev.quire.kernels.Op.KvType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Attention over ragged batches and a shuffled paged cache, on every device, against softmax in double. */
class AttentionConformanceTest {
    /** Computes {@code queries} tokens after {@code past} cached ones; {@code blocks} are physical ids. */
    private record Sequence(int past, int queries, int[] blocks) {}

    private record Heads(int heads, int kvHeads, int headDim) {}

    private record Case(Heads heads, KvType type, int blockTokens, int window, float softcap) {
        @Override
        public String toString() {
            return heads + " " + type + " block " + blockTokens + " window " + window + " softcap " + softcap;
        }
    }

    private static final int BLOCKS = 80;

    static Stream<Arguments> devicesAndCases() {
        List<Case> cases = new ArrayList<>();
        for (KvType type : KvType.values()) {
            cases.add(new Case(new Heads(3, 3, 16), type, 16, 0, 0));
            cases.add(new Case(new Heads(4, 2, 64), type, 16, 0, 0));
            cases.add(new Case(new Heads(9, 3, 64), type, 16, 0, 0));
            cases.add(new Case(new Heads(4, 1, 80), type, 32, 0, 0));
            cases.add(new Case(new Heads(7, 1, 128), type, 16, 0, 0));
            cases.add(new Case(new Heads(6, 3, 24), type, 48, 0, 30));
            cases.add(new Case(new Heads(2, 1, 64), type, 16, 40, 0));
            cases.add(new Case(new Heads(2, 2, 64), type, 16, 1, 0));
            cases.add(new Case(new Heads(2, 1, 20), type, 16, 16, 5));
        }
        return Devices.all().stream().flatMap(d -> cases.stream().map(c -> Arguments.of(d, c)));
    }

    /** Decodes at the edges of a block and of 512, chunks, whole prompts; two of them share their first blocks. */
    private static List<Sequence> sequences(int blockTokens) {
        int[][] lengths = {{0, 1}, {1, 1}, {15, 1}, {16, 1}, {17, 1}, {511, 1}, {512, 1}, {0, 33}, {30, 17}, {513, 2}};
        List<Sequence> sequences = new ArrayList<>();
        int next = 0;
        for (int[] length : lengths) {
            int[] blocks = new int[(length[0] + length[1] + blockTokens - 1) / blockTokens];
            for (int i = 0; i < blocks.length; i++) {
                blocks[i] = next++ * 37 % BLOCKS; // 37 and 80 share no factor: a permutation, used again from the start
            }
            sequences.add(new Sequence(length[0], length[1], blocks));
        }
        return sequences;
    }

    private static int tokens(List<Sequence> sequences) {
        return sequences.stream().mapToInt(Sequence::queries).sum();
    }

    @ParameterizedTest
    @MethodSource("devicesAndCases")
    void eachTokenSeesItsOwnSequenceUpToItself(Device device, Case c) throws Exception {
        List<Sequence> sequences = sequences(c.blockTokens);
        PagedCache cache = cache(c);
        float[] q = Rig.gaussian(tokens(sequences) * c.heads.heads * c.heads.headDim, 2);
        try (Rig rig = device.rig()) {
            float[] actual = run(rig, c, cache, q, sequences);
            double[] expected = expected(c, cache, q, sequences);
            Rig.assertClose(c.toString(), actual, expected, i -> mostError(c.type));
            assertThat(meanError(actual, expected)).isLessThan(mostMeanError(c.type));
        }
    }

    private static double mostError(KvType type) {
        return switch (type) {
            case F32 -> 3e-5;
            case BF16 -> 8e-3; // a weight near the middle of two bfloat16 numbers may be rounded the other way
            case INT8 -> 1e-3;
            case FP8 -> 1e-2; // weights are rounded together with the scales of their values
        };
    }

    private static double mostMeanError(KvType type) {
        return switch (type) {
            case F32 -> 3e-6;
            case BF16 -> 5e-5;
            case INT8 -> 1e-4;
            case FP8 -> 1e-3;
        };
    }

    @ParameterizedTest
    @MethodSource("devicesAndCases")
    void aSequenceDoesNotDependOnItsCompanyNorOnItsChunks(Device device, Case c) throws Exception {
        List<Sequence> sequences = sequences(c.blockTokens);
        PagedCache cache = cache(c);
        int width = c.heads.heads * c.heads.headDim;
        float[] q = Rig.gaussian(tokens(sequences) * width, 2);
        try (Rig rig = device.rig()) {
            float[] together = run(rig, c, cache, q, sequences);
            int first = 0;
            for (Sequence s : sequences) {
                List<Sequence> single = new ArrayList<>();
                for (int t = 0; t < s.queries; t += 5) {
                    int n = Math.min(5, s.queries - t);
                    single.clear();
                    single.add(new Sequence(s.past + t, n, s.blocks));
                    int from = (first + t) * width;
                    float[] alone = run(rig, c, cache, Arrays.copyOfRange(q, from, from + n * width), single);
                    assertThat(alone)
                            .as("%s %s token %d", c, s, t)
                            .isEqualTo(Arrays.copyOfRange(together, from, from + n * width));
                }
                first += s.queries;
            }
        }
    }

    @ParameterizedTest
    @EnumSource(KvType.class)
    void allLevelsAndThreadCountsAgreeToTheBit(KvType type) throws Exception {
        Case c = new Case(new Heads(6, 2, 72), type, 16, 0, 0);
        List<Sequence> sequences = sequences(16);
        PagedCache cache = cache(c);
        float[] q = Rig.gaussian(tokens(sequences) * 6 * 72, 2);
        float[] first = new float[0];
        for (Device device : Devices.all()) {
            if (!device.name().equals("java")) {
                try (Rig rig = device.rig()) {
                    float[] out = run(rig, c, cache, q, sequences);
                    first = first.length == 0 ? out : first;
                    assertThat(out).as(device.name()).isEqualTo(first);
                }
            }
        }
    }

    private static PagedCache cache(Case c) {
        return new PagedCache(BLOCKS, c.blockTokens, c.heads.kvHeads, c.heads.headDim, c.type).randomise(1);
    }

    private static float[] run(Rig rig, Case c, PagedCache cache, float[] q, List<Sequence> sequences)
            throws Exception {
        int width = c.heads.heads * c.heads.headDim;
        int tokens = tokens(sequences);
        KvLayer layer = cache.upload(rig);
        Tensor out = rig.zeros("out", tokens + 1, width);
        float scale = (float) (1 / Math.sqrt(c.heads.headDim));
        Op op = new Op.Attention(out, rig.tensor("q", width, q), layer, c.heads.heads, scale, c.window, c.softcap);
        rig.run(
                List.of(op),
                new Step.Limits(tokens, sequences.size(), 64, 1, 1, 1),
                step -> {
                    for (Sequence s : sequences) {
                        step.beginSequence();
                        Arrays.stream(s.blocks).forEach(step::block);
                        for (int t = 0; t < s.queries; t++) {
                            step.token(0, s.past + t, -1);
                        }
                    }
                },
                step -> {});
        float[] all = rig.read(out);
        rig.release();
        assertThat(Arrays.copyOfRange(all, tokens * width, all.length)).containsOnly(0f);
        return Arrays.copyOf(all, tokens * width);
    }

    private static double[] expected(Case c, PagedCache cache, float[] q, List<Sequence> sequences) {
        int width = c.heads.heads * c.heads.headDim;
        double[] out = new double[tokens(sequences) * width];
        int token = 0;
        for (Sequence s : sequences) {
            for (int position = s.past; position < s.past + s.queries; position++, token++) {
                for (int h = 0; h < c.heads.heads; h++) {
                    attend(c, cache, new Query(q, token * width + h * c.heads.headDim, h, position, s.blocks), out);
                }
            }
        }
        return out;
    }

    private record Query(float[] q, int at, int head, int position, int[] blocks) {}

    private static float roundedWeight(Case c, float value) {
        return c.type == KvType.BF16 ? PagedCache.bfloat16(value) : value;
    }

    private static float roundedQuery(Case c, float value) {
        return c.type == KvType.BF16 || c.type == KvType.FP8 ? PagedCache.bfloat16(value) : value;
    }

    private static double meanError(float[] actual, double[] expected) {
        return IntStream.range(0, actual.length)
                .mapToDouble(i -> Math.abs(actual[i] - expected[i]))
                .average()
                .orElseThrow();
    }

    private static void attend(Case c, PagedCache cache, Query query, double[] out) {
        int d = c.heads.headDim;
        int kvHead = query.head * c.heads.kvHeads / c.heads.heads;
        double[] weights = new double[query.position + 1];
        for (int p = 0; p <= query.position; p++) {
            if (c.window > 0 && p <= query.position - c.window) {
                continue;
            }
            int slot = query.blocks[p / c.blockTokens] * c.blockTokens + p % c.blockTokens;
            double score = 0;
            for (int i = 0; i < d; i++) {
                score += (double) roundedQuery(c, query.q[query.at + i]) * cache.key(slot, kvHead, i);
            }
            score /= Math.sqrt(d);
            double weight = Math.exp(c.softcap > 0 ? c.softcap * Math.tanh(score / c.softcap) : score);
            weights[p] = weight;
        }
        double largest = Arrays.stream(weights).max().orElseThrow();
        double total = 0;
        for (int p = 0; p <= query.position; p++) {
            int slot = query.blocks[p / c.blockTokens] * c.blockTokens + p % c.blockTokens;
            double weight = roundedWeight(c, (float) (weights[p] / largest));
            total += weight;
            for (int i = 0; i < d; i++) {
                out[query.at + i] += weight * cache.value(slot, kvHead, i);
            }
        }
        for (int i = 0; i < d; i++) {
            out[query.at + i] /= total;
        }
    }
}
