package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.quire.kernels.Devices.Device;
import dev.quire.kernels.Op.Activation;
import dev.quire.kernels.Op.KvLayer;
import dev.quire.kernels.Op.KvType;
import dev.quire.kernels.Op.Rows;
import dev.quire.kernels.Step.SampleSpec;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every check fires, says what it saw, and leaves the device working. */
class BadInputTest {

    static List<Device> devices() {
        return Devices.all();
    }

    private static Map<String, Function<TinyModel, Op>> badOperations() {
        Map<String, Function<TinyModel, Op>> bad = new LinkedHashMap<>();
        bad.put("regions", p -> new Op.CopyBlocks(p.cache.buffer(), 0, 64, 64));
        bad.put("regionBytes", p -> new Op.CopyBlocks(p.cache.buffer(), 3, 2048, 512));
        bad.put("blockBytes", p -> new Op.CopyBlocks(p.cache.buffer(), 1, 64, 0));
        bad.put("hostBlocks is 0", p -> new Op.SwapBlocks(p.cache.buffer(), 2, 2048, 512, p.cache.buffer(), 0));
        bad.put("hostBlocks is 5", p -> new Op.SwapBlocks(p.cache.buffer(), 2, 2048, 512, p.cache.buffer(), 5));
        bad.put("weight.cols", p -> new Op.Embed(p.qkv, p.embedding, 1));
        bad.put("scale", p -> new Op.Embed(p.x, p.embedding, Float.NaN));
        bad.put("out.cols", p -> new Op.RmsNorm(p.qkv, p.x, p.norm, 0, Rows.TOKENS));
        bad.put("weight.cols ", p -> new Op.RmsNorm(p.q, p.x, p.tensor(1, 31), 0, Rows.TOKENS));
        bad.put("weight.rows", p -> new Op.RmsNorm(p.q, p.x, new Tensor(p.norm.buffer(), 0, 0, 32), 0, Rows.TOKENS));
        bad.put("eps", p -> new Op.RmsNorm(p.q, p.x, p.norm, -1, Rows.TOKENS));
        bad.put(
                "apart from x",
                p -> new Op.RmsNorm(view(p.qkv, 128, 2, 32), view(p.qkv, 0, 2, 32), p.norm, 0, Rows.TOKENS));
        bad.put("parts is 0", p -> p.linear(p.qkv, p.x, List.of(), null));
        bad.put("parts is 4", p -> {
            Weight w = p.weight(DType.F32, 16, 32);
            return p.linear(p.qkv, p.x, List.of(w, w, w, w), null);
        });
        bad.put("parts.cols", p -> p.linear(p.qkv, p.x, List.of(p.weight(DType.F32, 64, 31)), null));
        bad.put("out.cols ", p -> p.linear(p.qkv, p.x, List.of(p.projection, p.embedding), null));
        bad.put("bias.cols", p -> p.linear(p.qkv, p.x, List.of(p.projection), p.norm));
        bad.put(
                "x and out",
                p -> p.linear(view(p.qkv, 0, 2, 64), view(p.qkv, 256, 2, 32), List.of(p.projection), null));
        bad.put("a multiple of 32", p -> {
            Weight forged = new Weight(p.projection.buffer(), DType.Q4_0, 32, 33);
            return p.linear(p.x, p.tensor(6, 33), List.of(forged), null);
        });
        bad.put("parts.buffer", p -> {
            Weight forged = new Weight(p.projection.buffer(), DType.Q4_0, 6400, 32);
            return p.linear(p.tensor(1, 6400), p.x, List.of(forged), null);
        });
        bad.put("qkv.cols", p -> p.rope(p.q, p.x, null, p.table, 2, 16));
        bad.put("q.cols", p -> p.rope(p.tensor(6, 48), p.qkv, null, p.table, 2, 16));
        bad.put("qkv.cols ", p -> p.rope(p.q, p.qkv, null, p.table, 3, 16));
        bad.put("rotaryDim", p -> p.rope(p.q, p.qkv, null, p.table, 2, 15));
        bad.put("rotaryDim ", p -> p.rope(p.q, p.qkv, null, p.table, 2, 18));
        bad.put("cosSin.cols", p -> p.rope(p.q, p.qkv, null, p.table, 2, 8));
        bad.put("qNorm.cols", p -> p.rope(p.q, p.qkv, p.norm, p.table, 2, 16));
        bad.put("heads is 0", p -> p.attention(p.x, p.q, 0, 1, 0, 0));
        bad.put("q.cols  ", p -> p.attention(p.x, p.q, 3, 1, 0, 0));
        bad.put("window", p -> p.attention(p.x, p.q, 2, 1, -1, 0));
        bad.put("scale ", p -> p.attention(p.x, p.q, 2, Float.POSITIVE_INFINITY, 0, 0));
        bad.put("softcap", p -> p.attention(p.x, p.q, 2, 1, 0, -2));
        bad.put("q and out", p -> p.attention(p.q, p.q, 2, 1, 0, 0));
        bad.put("a multiple of kvHeads", p -> {
            KvLayer two = new PagedCache(4, 16, 2, 16, KvType.F32).upload(p.rig);
            return new Op.Attention(p.tensor(6, 48), p.tensor(6, 48), two, 3, 1, 0, 0);
        });
        bad.put("bytes of a block is 320", p -> {
            KvLayer codes = new PagedCache(4, 16, 1, 16, KvType.INT8).upload(p.rig);
            return new Op.Attention(p.x, p.q, codes, 2, 1, 0, 0);
        });
        bad.put("keyOffset", p -> new Op.Attention(p.x, p.q, cache(p, 32, 1024), 2, 1, 0, 0));
        bad.put("apart from the keys", p -> new Op.Attention(p.x, p.q, cache(p, 0, 512), 2, 1, 0, 0));
        bad.put("gateUp.cols", p -> new Op.Gated(p.x, p.q, Activation.SILU, Rows.TOKENS));
        bad.put("gateUp and out", p -> new Op.Gated(view(p.qkv, 0, 2, 32), p.qkv, Activation.SILU, Rows.TOKENS));
        bad.put("out.cols  ", p -> new Op.GatherRows(p.logits, p.x));
        bad.put("logits.rows", p -> new Op.Sample(new Tensor(p.logits.buffer(), 0, 0, 20)));
        return bad;
    }

    private static Tensor view(Tensor of, long offset, int rows, int cols) {
        return new Tensor(of.buffer(), offset, rows, cols);
    }

    private static KvLayer cache(TinyModel p, long keyOffset, long valueOffset) {
        return new KvLayer(p.cache.buffer(), keyOffset, valueOffset, 2, 16, 1, 16, KvType.BF16);
    }

    @ParameterizedTest
    @MethodSource("devices")
    void operationsWhoseOperandsDoNotFitAreRefused(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            TinyModel p = new TinyModel(rig);
            badOperations()
                    .forEach((expected, make) -> assertThatIllegalArgumentException()
                            .as(expected)
                            .isThrownBy(() ->
                                    rig.backend.compile(List.of(p.program().getFirst(), make.apply(p))))
                            .withMessageContaining("operation 1 (")
                            .withMessageContaining(expected.strip()));
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> {
                        KvLayer wide = new PagedCache(4, 32, 1, 16, KvType.BF16).upload(rig);
                        rig.backend.compile(List.of(
                                p.attention(p.x, p.q, 2, 1, 0, 0), new Op.Attention(p.x, p.q, wide, 2, 1, 0, 0)));
                    })
                    .withMessageContaining("blockTokens");
            p.goodStepRuns();
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void buffersOfAnotherBackendAndClosedBuffersAreRefused(Device device) throws Exception {
        try (Rig rig = device.rig();
                Rig other = Devices.oracle()) {
            TinyModel p = new TinyModel(rig);
            Tensor foreign = other.zeros("foreign", 3, 20);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> rig.backend.compile(List.of(new Op.Sample(foreign))))
                    .withMessageContaining("logits: buffer 'foreign' belongs to another backend");
            Buffer closed = rig.backend.allocate(64, "gone");
            Tensor view = new Tensor(closed, 0, 1, 16);
            try (Backend.Program program = rig.backend.compile(List.of(new Op.Sample(view)));
                    Step step = rig.backend.newStep(TinyModel.LIMITS)) {
                closed.close();
                closed.close();
                assertThatIllegalArgumentException()
                        .isThrownBy(() -> rig.backend.submit(program, step))
                        .withMessageContaining("gone");
            }
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> rig.backend.compile(List.of(new Op.Sample(view))))
                    .withMessageContaining("is closed");
            try (Backend.Program program = other.backend.compile(List.of());
                    Step step = rig.backend.newStep(TinyModel.LIMITS)) {
                assertThatIllegalArgumentException().isThrownBy(() -> rig.backend.submit(program, step));
            }
            p.goodStepRuns();
        }
    }

    private static Consumer<Step> sampled(Consumer<Step> more) {
        return step -> {
            TinyModel.sequence(step, 0, 2, 1);
            step.logits();
            more.accept(step);
        };
    }

    private static Consumer<Step> spec(
            float temperature, float topP, float minP, int topK, float repetition, int logprobs) {
        return sampled(s ->
                s.sample(0, -1, 0, new SampleSpec(temperature, topP, minP, topK, repetition, 0, 0, logprobs, 0, 0)));
    }

    private static Consumer<Step> token(int id, int position, int slot, int... blocks) {
        return step -> {
            TinyModel.sequence(step, 0, 0, blocks);
            step.token(id, position, slot);
        };
    }

    private static Map<String, Consumer<Step>> badSteps() {
        Map<String, Consumer<Step>> bad = new LinkedHashMap<>();
        bad.put("7 tokens, allowed: at most 6", s -> TinyModel.sequence(s, 0, 7, 1));
        bad.put("token 0 is 20, allowed: 0 to 19", token(20, 0, -1, 1));
        bad.put("token 0 is -1,", token(-1, 0, -1, 1));
        bad.put("position 0 is 50, allowed: 0 to 49", token(1, 50, -1, 0, 1, 2, 3));
        bad.put("position 0 is -1,", token(1, -1, -1, 1));
        bad.put("slot 0 is 64, allowed: 0 to 63", token(1, 0, 64, 1));
        bad.put("slot 0 is -2,", token(1, 0, -2, 1));
        bad.put("block of sequence 0 is 4, allowed: 0 to 3", s -> TinyModel.sequence(s, 0, 1, 4));
        bad.put("block of sequence 0 is -1,", s -> TinyModel.sequence(s, 0, 1, -1));
        bad.put("context of sequence 0 is 17, allowed: 1 blocks", s -> TinyModel.sequence(s, 16, 1, 1));
        bad.put("context of sequence 1 is 1, allowed: 0 blocks", s -> {
            TinyModel.sequence(s, 0, 1, 1);
            TinyModel.sequence(s, 0, 1);
        });
        bad.put("position 1 is 0, allowed: 1,", s -> {
            TinyModel.sequence(s, 0, 1, 1);
            s.token(1, 0, -1);
        });
        bad.put("tokens before the first sequence", s -> s.token(1, 0, -1));
        bad.put("logits row 0 is -1,", s -> {
            s.logits();
            TinyModel.sequence(s, 0, 1, 1);
        });
        bad.put("4 rows of logits, allowed: at most 3", s -> {
            TinyModel.sequence(s, 0, 1, 1);
            for (int i = 0; i < 4; i++) {
                s.logits();
            }
        });
        bad.put("copied block 0 is 4, allowed: 0 to 3", s -> s.copyBlock(4, 1));
        bad.put("copied block 1 is -1,", s -> {
            s.copyBlock(0, 1);
            s.copyBlock(0, -1);
        });
        bad.put("row of sample 0 is 1, allowed: 0 to 0", sampled(s -> s.sample(1, -1, 0, TinyModel.GREEDY)));
        bad.put("target of sample 0 is 20,", sampled(s -> s.sample(0, 20, 0, TinyModel.GREEDY)));
        bad.put("target of sample 0 is -2,", sampled(s -> s.sample(0, -2, 0, TinyModel.GREEDY)));
        bad.put("temperature of sample 0 is NaN", spec(Float.NaN, 1, 0, 0, 1, -1));
        bad.put("temperature of sample 0 is -0.1", spec(-0.1f, 1, 0, 0, 1, -1));
        bad.put("temperature of sample 0 is Infinity", spec(Float.POSITIVE_INFINITY, 1, 0, 0, 1, -1));
        bad.put("top_p of sample 0 is 0.0", spec(1, 0, 0, 0, 1, -1));
        bad.put("top_p of sample 0 is 1.5", spec(1, 1.5f, 0, 0, 1, -1));
        bad.put("min_p of sample 0 is 2.0", spec(1, 1, 2, 0, 1, -1));
        bad.put("top_k of sample 0 is -1", spec(1, 1, 0, -1, 1, -1));
        bad.put("repetition of sample 0 is 0.0", spec(1, 1, 0, 0, 0, -1));
        bad.put("logprobs of sample 0 is -2", spec(1, 1, 0, 0, 1, -2));
        bad.put("logprobs of sample 0 is 21", spec(1, 1, 0, 0, 1, 21));
        bad.put(
                "presence of sample 0 is NaN",
                sampled(s -> s.sample(0, -1, 0, new SampleSpec(1, 1, 0, 0, 1, Float.NaN, 0, -1, 0, 0))));
        bad.put(
                "frequency of sample 0 is -Infinity",
                sampled(s -> s.sample(0, -1, 0, new SampleSpec(1, 1, 0, 0, 1, 0, Float.NEGATIVE_INFINITY, -1, 0, 0))));
        bad.put("bias token 0 is 20", extras(s -> s.bias(20, 1)));
        bad.put("bias value 0 is NaN", extras(s -> s.bias(1, Float.NaN)));
        bad.put("bias value 0 is Infinity", extras(s -> s.bias(1, Float.POSITIVE_INFINITY)));
        bad.put("counted token 0 is -1", extras(s -> s.count(-1, 1)));
        bad.put("count 0 is -1", extras(s -> s.count(1, -1)));
        return bad;
    }

    private static Consumer<Step> extras(Consumer<Step> more) {
        return sampled(s -> {
            s.sample(0, -1, 0, TinyModel.GREEDY);
            more.accept(s);
        });
    }

    @ParameterizedTest
    @MethodSource("devices")
    void stepsOutOfTheProgramsRangeAreRefused(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            TinyModel p = new TinyModel(rig);
            try (Backend.Program program = rig.backend.compile(p.program());
                    Step step = rig.backend.newStep(TinyModel.LIMITS)) {
                badSteps().forEach((expected, fill) -> {
                    step.clear();
                    fill.accept(step);
                    assertThatIllegalArgumentException()
                            .as(expected)
                            .isThrownBy(() -> rig.backend.submit(program, step))
                            .withMessageContaining(expected);
                });
            }
            p.goodStepRuns();
        }
    }
}
