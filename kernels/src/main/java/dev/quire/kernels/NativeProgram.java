package dev.quire.kernels;

import dev.quire.kernels.NativeStructs.Struct;
import dev.quire.kernels.Op.Rows;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A command list in native memory: an array of QrOp, and the structs that it points to. */
final class NativeProgram implements Backend.Program {
    static final int COPY_BLOCKS = 1;
    static final int EMBED = 2;
    static final int RMS_NORM = 3;
    static final int LINEAR = 4;
    static final int ROPE_KV = 5;
    static final int ATTENTION = 6;
    static final int GATED = 7;
    static final int GATHER_ROWS = 8;
    static final int SAMPLE = 9;
    static final int ALL_REDUCE = 10;
    static final int ALL_GATHER = 11;
    static final int EXPERTS = 12;
    static final int SWAP_BLOCKS = 13;

    static final int ROWS_LOGITS = 1;
    static final int ADD = 2;
    static final int HIGH_PRECISION = 4;
    static final int INTERLEAVED = 8;
    static final int NORMALISED = 16;

    private final NativeBackend owner;
    private final ProgramLimits limits;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment operations;
    private final int count;

    private record Encoded(int opcode, int flags, Struct args) {}

    NativeProgram(NativeBackend owner, List<Op> list, ProgramLimits limits) {
        this.owner = owner;
        this.limits = limits;
        count = list.size();
        operations = arena.allocate(NativeStructs.OP, Math.max(1, count));
        for (int i = 0; i < count; i++) {
            Encoded encoded = encode(list.get(i));
            MemorySegment slot = operations.asSlice(i * NativeStructs.OP.byteSize(), NativeStructs.OP);
            new Struct(NativeStructs.OP, slot)
                    .set("opcode", encoded.opcode)
                    .set("flags", encoded.flags)
                    .set("args", encoded.args.memory().address());
        }
    }

    NativeBackend owner() {
        return owner;
    }

    ProgramLimits limits() {
        return limits;
    }

    /** The QrOp array. @throws IllegalStateException when the program is closed */
    MemorySegment operations() {
        if (!arena.scope().isAlive()) {
            throw new IllegalStateException("the program is closed");
        }
        return operations;
    }

    int count() {
        return count;
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            owner.requireNotRunning(this);
            arena.close();
        }
    }

    private Encoded encode(Op operation) {
        return switch (operation) {
            case Op.CopyBlocks op -> new Encoded(COPY_BLOCKS, 0, copyBlocks(op));
            case Op.SwapBlocks op -> new Encoded(SWAP_BLOCKS, 0, swapBlocks(op));
            case Op.Embed op ->
                new Encoded(
                        EMBED,
                        0,
                        struct(NativeStructs.EMBED)
                                .set("out", op.out().address())
                                .set("weight", 0, op.weight())
                                .set("scale", op.scale()));
            case Op.RmsNorm op -> new Encoded(RMS_NORM, rows(op.rows()), rmsNorm(op));
            case Op.Linear op ->
                new Encoded(
                        LINEAR,
                        rows(op.rows()) | (op.add() ? ADD : 0) | (op.highPrecision() ? HIGH_PRECISION : 0),
                        linear(op));
            case Op.RopeKv op -> new Encoded(ROPE_KV, op.interleaved() ? INTERLEAVED : 0, ropeKv(op));
            case Op.Attention op -> new Encoded(ATTENTION, 0, attention(op));
            case Op.Gated op -> new Encoded(GATED, rows(op.rows()), gated(op));
            case Op.Experts op ->
                new Encoded(
                        EXPERTS,
                        rows(op.rows())
                                | (op.normalised() ? NORMALISED : 0)
                                | (op.add() ? ADD : 0)
                                | (op.highPrecision() ? HIGH_PRECISION : 0),
                        experts(op));
            case Op.GatherRows op ->
                new Encoded(
                        GATHER_ROWS,
                        0,
                        struct(NativeStructs.GATHER_ROWS)
                                .set("x", op.x().address())
                                .set("out", op.out().address())
                                .set("cols", op.x().cols()));
            case Op.Sample op ->
                new Encoded(
                        SAMPLE,
                        0,
                        struct(NativeStructs.SAMPLE)
                                .set("logits", op.logits().address())
                                .set("vocab", op.logits().cols()));
            case Op.AllReduce op ->
                new Encoded(
                        ALL_REDUCE,
                        rows(op.rows()),
                        struct(NativeStructs.ALL_REDUCE)
                                .set("x", op.x().address())
                                .set("cols", op.x().cols()));
            case Op.AllGather op ->
                new Encoded(
                        ALL_GATHER,
                        rows(op.rows()),
                        struct(NativeStructs.ALL_GATHER)
                                .set("x", op.x().address())
                                .set("out", address(op.out()))
                                .set("cols", op.x().cols())
                                .set("out_cols", op.outCols()));
        };
    }

    private Struct struct(StructLayout layout) {
        return Struct.in(arena, layout);
    }

    private static int rows(Rows rows) {
        return rows == Rows.LOGITS ? ROWS_LOGITS : 0;
    }

    private static long address(@Nullable Tensor tensor) {
        return tensor == null ? 0 : tensor.address();
    }

    private Struct copyBlocks(Op.CopyBlocks op) {
        return struct(NativeStructs.COPY_BLOCKS)
                .set("base", op.cache().address())
                .set("region_bytes", op.regionBytes())
                .set("block_bytes", op.blockBytes())
                .set("regions", op.regions());
    }

    private Struct swapBlocks(Op.SwapBlocks op) {
        return struct(NativeStructs.SWAP_BLOCKS)
                .set("base", op.cache().address())
                .set("region_bytes", op.regionBytes())
                .set("block_bytes", op.blockBytes())
                .set("host", op.host().address())
                .set("regions", op.regions())
                .set("host_blocks", op.hostBlocks());
    }

    private Struct rmsNorm(Op.RmsNorm op) {
        return struct(NativeStructs.RMS_NORM)
                .set("x", op.x().address())
                .set("out", op.out().address())
                .set("weight", op.weight().address())
                .set("cols", op.x().cols())
                .set("eps", op.eps());
    }

    private Struct linear(Op.Linear op) {
        Struct args = struct(NativeStructs.LINEAR)
                .set("x", op.x().address())
                .set("out", op.out().address())
                .set("bias", address(op.bias()))
                .set("n_parts", op.parts().size())
                .set("in_cols", op.x().cols())
                .set("out_cols", op.out().cols());
        for (int i = 0; i < op.parts().size(); i++) {
            args.set("parts", i, op.parts().get(i));
        }
        return args;
    }

    private Struct ropeKv(Op.RopeKv op) {
        Struct args = struct(NativeStructs.ROPE_KV)
                .set("qkv", op.qkv().address())
                .set("q_out", op.q().address())
                .set("q_norm", address(op.qNorm()))
                .set("k_norm", address(op.kNorm()))
                .set("cos_sin", op.cosSin().address())
                .set("rotary_dim", op.rotaryDim())
                .set("eps", op.eps());
        return cache(args, op.cache(), op.heads());
    }

    private Struct attention(Op.Attention op) {
        Struct args = struct(NativeStructs.ATTENTION)
                .set("q", op.q().address())
                .set("out", op.out().address())
                .set("window", op.window())
                .set("scale", op.scale())
                .set("softcap", op.softcap());
        return cache(args, op.cache(), op.heads());
    }

    private static Struct cache(Struct args, Op.KvLayer cache, int heads) {
        return args.set("k_cache", cache.buffer().address() + cache.keyOffset())
                .set("v_cache", cache.buffer().address() + cache.valueOffset())
                .set("heads", heads)
                .set("kv_heads", cache.kvHeads())
                .set("head_dim", cache.headDim())
                .set("kv_type", cache.type().code())
                .set("block_tokens", cache.blockTokens());
    }

    private static int code(Op.Activation activation) {
        return switch (activation) {
            case SILU -> 0;
            case GELU_TANH -> 1;
        };
    }

    private Struct experts(Op.Experts op) {
        return struct(NativeStructs.EXPERTS)
                .set("sum", op.sum().address())
                .set("x", op.x().address())
                .set("logits", op.logits().address())
                .set("gate", 0, op.gate())
                .set("up", 0, op.up())
                .set("down", 0, op.down())
                .set("experts", op.experts())
                .set("chosen", op.chosen())
                .set("activation", code(op.activation()));
    }

    private Struct gated(Op.Gated op) {
        return struct(NativeStructs.GATED)
                .set("gate_up", op.gateUp().address())
                .set("out", op.out().address())
                .set("inner", op.out().cols())
                .set("activation", code(op.activation()));
    }
}
