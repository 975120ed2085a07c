package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.kernels.Op.KvLayer;
import dev.quire.kernels.Op.KvType;
import dev.quire.kernels.Op.Rows;
import dev.quire.kernels.Step.SampleSpec;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A model of one layer: hidden 32, two heads of 16, one kv head, vocabulary 20, 4 blocks of 16, at most 6 tokens. */
final class TinyModel {
    static final SampleSpec GREEDY = new SampleSpec(0, 1, 0, 0, 1, 0, 0, -1, 0, 0);
    static final Step.Limits LIMITS = new Step.Limits(16, 4, 8, 16, 4, 8);
    private static final int CAPACITY = 6;

    final Rig rig;
    final Tensor x;
    final Tensor norm;
    final Tensor qkv;
    final Tensor q;
    final Tensor last;
    final Tensor logits;
    final Tensor table;
    final Weight embedding;
    final Weight projection;
    final KvLayer cache;

    TinyModel(Rig rig) {
        this.rig = rig;
        x = rig.zeros("x", CAPACITY, 32);
        norm = rig.zeros("norm", 1, 32);
        qkv = rig.zeros("qkv", CAPACITY, 64);
        q = rig.zeros("q", CAPACITY, 32);
        last = rig.zeros("last", 3, 32);
        logits = rig.zeros("logits", 3, 20);
        table = rig.zeros("table", 50, 16);
        embedding = rig.weight(StoredMatrix.random(DType.Q8_0, 20, 32, 1));
        projection = rig.weight(StoredMatrix.random(DType.Q4_0, 64, 32, 1));
        cache = new PagedCache(4, 16, 1, 16, KvType.BF16).upload(rig);
    }

    List<Op> program() {
        return List.of(
                new Op.CopyBlocks(cache.buffer(), 2, 2048, 512),
                new Op.Embed(x, embedding, 1),
                linear(qkv, x, List.of(projection), null),
                rope(q, qkv, null, table, 2, 16),
                attention(x, q, 2, 1, 0, 0),
                new Op.GatherRows(last, x),
                linear(logits, last, List.of(embedding), null, Rows.LOGITS),
                new Op.Sample(logits));
    }

    Op linear(Tensor out, Tensor in, List<Weight> parts, @Nullable Tensor bias) {
        return linear(out, in, parts, bias, Rows.TOKENS);
    }

    Op linear(Tensor out, Tensor in, List<Weight> parts, @Nullable Tensor bias, Rows rows) {
        return new Op.Linear(out, in, parts, bias, false, false, rows);
    }

    Op rope(Tensor q, Tensor qkv, @Nullable Tensor qNorm, Tensor table, int heads, int rotary) {
        return new Op.RopeKv(q, qkv, qNorm, null, table, cache, heads, rotary, false, 1e-5f);
    }

    Op attention(Tensor out, Tensor q, int heads, float scale, int window, float softcap) {
        return new Op.Attention(out, q, cache, heads, scale, window, softcap);
    }

    Tensor tensor(int rows, int cols) {
        return rig.zeros("other", rows, cols);
    }

    Weight weight(DType type, int rows, int cols) {
        return rig.weight(StoredMatrix.random(type, rows, cols, 1));
    }

    static void sequence(Step step, int first, int n, int... blocks) {
        step.beginSequence();
        for (int block : blocks) {
            step.block(block);
        }
        for (int t = 0; t < n; t++) {
            step.token(1, first + t, -1);
        }
    }

    /** Runs a step that uses everything: proof that the device still works. */
    void goodStepRuns() {
        rig.run(
                program(),
                LIMITS,
                step -> {
                    step.copyBlock(0, 1);
                    sequence(step, 30, 3, 1, 3, 0);
                    step.sample(step.logits(), -1, 33, GREEDY);
                    sequence(step, 0, 1, 2);
                    step.sample(step.logits(), 19, 1, GREEDY);
                },
                step -> {
                    assertThat(step.sampledToken(0)).isBetween(0, 19);
                    assertThat(step.sampledToken(1)).isEqualTo(19);
                });
    }
}
