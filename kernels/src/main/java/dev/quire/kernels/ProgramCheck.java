package dev.quire.kernels;

import dev.quire.kernels.Op.KvLayer;
import dev.quire.kernels.Op.Rows;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Checks the operands of a command list against each other, so that the kernels need no checks of their own: whatever
 * passes here and in {@link StepCheck} stays inside its buffers. Shared by all backends.
 */
final class ProgramCheck {
    /** Bytes of a packed weight; the backends differ in it. */
    interface PackedSize {
        long bytes(DType type, long rows, int cols);
    }

    private static final int MAX_PARTS = 3;

    /** Widths of experts are multiples of it. */
    private static final int EXPERT_COLUMNS = 32;

    private final DeviceMemory memory;
    private final PackedSize packed;
    private final int ranks;
    private final ProgramLimits limits = new ProgramLimits();
    private String where = "";

    private ProgramCheck(DeviceMemory memory, PackedSize packed, int ranks) {
        this.memory = memory;
        this.packed = packed;
        this.ranks = ranks;
    }

    /**
     * The limits of the list.
     *
     * @param ranks of the device's group; 0 where there is none
     * @throws IllegalArgumentException naming the operation and the operand
     */
    static ProgramLimits check(List<Op> operations, DeviceMemory memory, PackedSize packed, int ranks) {
        ProgramCheck check = new ProgramCheck(memory, packed, ranks);
        for (int i = 0; i < operations.size(); i++) {
            Op op = operations.get(i);
            check.where = "operation " + i + " (" + op.getClass().getSimpleName() + "): ";
            check.one(op);
        }
        return check.limits;
    }

    private void one(Op operation) {
        switch (operation) {
            case Op.CopyBlocks op -> copyBlocks(op);
            case Op.SwapBlocks op -> swapBlocks(op);
            case Op.Embed op -> embed(op);
            case Op.RmsNorm op -> rmsNorm(op);
            case Op.Linear op -> linear(op);
            case Op.RopeKv op -> ropeKv(op);
            case Op.Attention op -> attention(op);
            case Op.Gated op -> gated(op);
            case Op.Experts op -> experts(op);
            case Op.GatherRows op -> gatherRows(op);
            case Op.Sample op -> sample(op);
            case Op.AllReduce op -> allReduce(op);
            case Op.AllGather op -> allGather(op);
        }
    }

    private void copyBlocks(Op.CopyBlocks op) {
        long blocks = blocks(op.cache(), op.regions(), op.regionBytes(), op.blockBytes());
        limits.copyBytes = op.blockBytes();
        limits.copyBlocks = limits.copyBlocks == 0 ? blocks : Math.min(limits.copyBlocks, blocks);
    }

    /** How many blocks each region of a cache has. */
    private long blocks(Buffer buffer, int regions, long regionBytes, long blockBytes) {
        DeviceBuffer cache = buffer("cache", buffer);
        require(regions >= 1, "regions", regions, "at least 1");
        require(blockBytes >= 1, "blockBytes", blockBytes, "at least 1");
        require(regionBytes >= blockBytes, "regionBytes", regionBytes, "at least blockBytes");
        long most = cache.bytes() / regions;
        require(regionBytes <= most, "regionBytes", regionBytes, "at most " + most + " in " + cache);
        return regionBytes / blockBytes;
    }

    private void swapBlocks(Op.SwapBlocks op) {
        long blocks = blocks(op.cache(), op.regions(), op.regionBytes(), op.blockBytes());
        DeviceBuffer host = buffer("host", op.host());
        long most = host.bytes() / op.blockBytes() / op.regions();
        require(op.hostBlocks() >= 1, "hostBlocks", op.hostBlocks(), "at least 1");
        require(op.hostBlocks() <= most, "hostBlocks", op.hostBlocks(), "at most " + most + " in " + host);
        boolean first = limits.swapBlocks == 0;
        limits.swapBlocks = first ? blocks : Math.min(limits.swapBlocks, blocks);
        limits.hostBlocks = first ? op.hostBlocks() : Math.min(limits.hostBlocks, op.hostBlocks());
    }

    private void embed(Op.Embed op) {
        tensor("out", op.out(), Rows.TOKENS);
        weight("weight", op.weight());
        require(
                op.weight().cols() == op.out().cols(),
                "weight.cols",
                op.weight().cols(),
                "out.cols " + cols(op.out()));
        finite("scale", op.scale());
        limits.vocab = (int) Math.min(limits.vocab, op.weight().rows());
    }

    private void rmsNorm(Op.RmsNorm op) {
        tensor("x", op.x(), op.rows());
        tensor("out", op.out(), op.rows());
        vector("weight", op.weight(), op.x().cols());
        require(op.out().cols() == op.x().cols(), "out.cols", op.out().cols(), "x.cols " + cols(op.x()));
        require(
                op.x().equals(op.out()) || disjoint(op.x(), op.out()),
                "out",
                op.out().offset(),
                "x, or apart from x");
        eps(op.eps());
    }

    private void linear(Op.Linear op) {
        tensor("x", op.x(), op.rows());
        tensor("out", op.out(), op.rows());
        apart("x", op.x(), "out", op.out());
        int parts = op.parts().size();
        require(parts >= 1 && parts <= MAX_PARTS, "parts", parts, "1 to " + MAX_PARTS);
        long rows = 0;
        for (Weight part : op.parts()) {
            weight("parts", part);
            require(part.cols() == op.x().cols(), "parts.cols", part.cols(), "x.cols " + cols(op.x()));
            rows = Math.addExact(rows, part.rows());
        }
        require(rows == op.out().cols(), "out.cols", op.out().cols(), "the parts' rows together, " + rows);
        if (op.bias() != null) {
            vector("bias", op.bias(), op.out().cols());
        }
    }

    private void ropeKv(Op.RopeKv op) {
        int d = op.cache().headDim();
        cache(op.cache(), op.heads());
        tensor("qkv", op.qkv(), Rows.TOKENS);
        tensor("q", op.q(), Rows.TOKENS);
        apart("qkv", op.qkv(), "q", op.q());
        long width = (op.heads() + 2L * op.cache().kvHeads()) * d;
        require(op.qkv().cols() == width, "qkv.cols", op.qkv().cols(), "(heads + 2 kvHeads) headDim = " + width);
        require(op.q().cols() == (long) op.heads() * d, "q.cols", op.q().cols(), "heads headDim = " + op.heads() * d);
        require(
                op.rotaryDim() >= 2 && op.rotaryDim() % 2 == 0 && op.rotaryDim() <= d,
                "rotaryDim",
                op.rotaryDim(),
                "even, 2 to headDim " + d);
        buffer("cosSin", op.cosSin().buffer());
        require(op.cosSin().cols() == op.rotaryDim(), "cosSin.cols", op.cosSin().cols(), "rotaryDim " + op.rotaryDim());
        optionalVector("qNorm", op.qNorm(), d);
        optionalVector("kNorm", op.kNorm(), d);
        eps(op.eps());
        limits.positions = Math.min(limits.positions, op.cosSin().rows());
        limits.stores = true;
    }

    private void attention(Op.Attention op) {
        cache(op.cache(), op.heads());
        tensor("q", op.q(), Rows.TOKENS);
        tensor("out", op.out(), Rows.TOKENS);
        apart("q", op.q(), "out", op.out());
        long width = (long) op.heads() * op.cache().headDim();
        require(op.q().cols() == width, "q.cols", op.q().cols(), "heads headDim = " + width);
        require(op.out().cols() == width, "out.cols", op.out().cols(), "heads headDim = " + width);
        require(op.window() >= 0, "window", op.window(), "0 (all) or more");
        finite("scale", op.scale());
        finite("softcap", op.softcap());
        require(op.softcap() >= 0, "softcap", op.softcap(), "0 (none) or more");
        limits.attends = true;
    }

    private void gated(Op.Gated op) {
        tensor("gateUp", op.gateUp(), op.rows());
        tensor("out", op.out(), op.rows());
        apart("gateUp", op.gateUp(), "out", op.out());
        long width = 2L * op.out().cols();
        require(op.gateUp().cols() == width, "gateUp.cols", op.gateUp().cols(), "twice out.cols, " + width);
    }

    private void experts(Op.Experts op) {
        tensor("x", op.x(), op.rows());
        tensor("sum", op.sum(), op.rows());
        tensor("logits", op.logits(), op.rows());
        apart("x", op.x(), "sum", op.sum());
        apart("logits", op.logits(), "sum", op.sum());
        weight("gate", op.gate());
        weight("up", op.up());
        weight("down", op.down());
        int cols = op.x().cols();
        int inner = op.down().cols();
        require(op.chosen() >= 1 && op.chosen() <= op.experts(), "chosen", op.chosen(), "1 to " + op.experts());
        require(op.sum().cols() == cols, "sum.cols", op.sum().cols(), "x.cols " + cols);
        require(cols % EXPERT_COLUMNS == 0, "x.cols", cols, "a multiple of " + EXPERT_COLUMNS);
        require(inner % EXPERT_COLUMNS == 0, "down.cols", inner, "a multiple of " + EXPERT_COLUMNS);
        expert("gate", op.gate(), (long) op.experts() * inner, cols);
        expert("up", op.up(), (long) op.experts() * inner, cols);
        expert("down", op.down(), (long) op.experts() * cols, inner);
    }

    private void expert(String name, Weight weight, long rows, int cols) {
        require(weight.rows() == rows, name + ".rows", weight.rows(), "those of all experts, " + rows);
        require(weight.cols() == cols, name + ".cols", weight.cols(), Integer.toString(cols));
    }

    private void gatherRows(Op.GatherRows op) {
        tensor("x", op.x(), Rows.TOKENS);
        tensor("out", op.out(), Rows.LOGITS);
        apart("x", op.x(), "out", op.out());
        require(op.out().cols() == op.x().cols(), "out.cols", op.out().cols(), "x.cols " + cols(op.x()));
    }

    private void sample(Op.Sample op) {
        tensor("logits", op.logits(), Rows.LOGITS);
        int vocab = op.logits().cols();
        limits.sampleVocab = limits.sampleVocab == 0 ? vocab : Math.min(limits.sampleVocab, vocab);
    }

    private void allReduce(Op.AllReduce op) {
        require(ranks > 0, "ranks", ranks, "1 or more, those of a group");
        tensor("x", op.x(), op.rows());
    }

    private void allGather(Op.AllGather op) {
        require(ranks > 0, "ranks", ranks, "1 or more, those of a group");
        tensor("x", op.x(), op.rows());
        long most = (long) op.x().cols() * ranks;
        require(op.outCols() >= 1 && op.outCols() <= most, "outCols", op.outCols(), "1 to " + most);
        if (op.out() != null) {
            tensor("out", op.out(), op.rows());
            apart("x", op.x(), "out", op.out());
            require(op.out().cols() == op.outCols(), "out.cols", op.out().cols(), "outCols " + op.outCols());
        }
    }

    private void cache(KvLayer cache, int heads) {
        buffer("cache", cache.buffer());
        int kvHeads = cache.kvHeads();
        require(heads >= 1 && heads % kvHeads == 0, "heads", heads, "a multiple of kvHeads " + kvHeads);
        require(cache.keyOffset() % 64 == 0, "cache.keyOffset", cache.keyOffset(), "a multiple of 64");
        require(cache.valueOffset() % 64 == 0, "cache.valueOffset", cache.valueOffset(), "a multiple of 64");
        long block = KvLayer.blockBytes(cache.blockTokens(), kvHeads, cache.headDim(), cache.type());
        require(
                limits.copyBytes == 0 || limits.copyBytes == block,
                "cache's bytes of a block",
                block,
                limits.copyBytes + ", which the operation before copies");
        long distance = Math.abs(cache.keyOffset() - cache.valueOffset());
        require(distance >= block * cache.blocks(), "cache.valueOffset", cache.valueOffset(), "apart from the keys");
        require(
                limits.blockTokens == 0 || limits.blockTokens == cache.blockTokens(),
                "cache.blockTokens",
                cache.blockTokens(),
                limits.blockTokens + " as in the operations before");
        require(
                (long) cache.blocks() * cache.blockTokens() <= Integer.MAX_VALUE,
                "cache.blocks",
                cache.blocks(),
                "slots that fit in 31 bits");
        limits.blockTokens = cache.blockTokens();
        limits.blocks = Math.min(limits.blocks, cache.blocks());
    }

    private void tensor(String name, Tensor tensor, Rows rows) {
        buffer(name, tensor.buffer());
        require(tensor.rows() >= 1, name + ".rows", tensor.rows(), "at least 1");
        switch (rows) {
            case TOKENS -> limits.tokens = Math.min(limits.tokens, tensor.rows());
            case LOGITS -> limits.logits = Math.min(limits.logits, tensor.rows());
        }
    }

    private void vector(String name, Tensor tensor, int cols) {
        buffer(name, tensor.buffer());
        require(tensor.rows() >= 1, name + ".rows", tensor.rows(), "at least 1");
        require(tensor.cols() == cols, name + ".cols", tensor.cols(), Integer.toString(cols));
    }

    private void optionalVector(String name, @Nullable Tensor tensor, int cols) {
        if (tensor != null) {
            vector(name, tensor, cols);
        }
    }

    private void weight(String name, Weight weight) {
        DeviceBuffer buffer = buffer(name, weight.buffer());
        require(weight.rows() >= 1, name + ".rows", weight.rows(), "at least 1");
        int block = weight.type().blockElements();
        require(
                weight.cols() >= 1 && weight.cols() % block == 0,
                name + ".cols",
                weight.cols(),
                "a multiple of " + block);
        long bytes = packed.bytes(weight.type(), weight.rows(), weight.cols());
        require(buffer.bytes() >= bytes, name + ".buffer", buffer.bytes(), "at least " + bytes + " bytes");
    }

    private DeviceBuffer buffer(String name, Buffer buffer) {
        try {
            DeviceBuffer own = memory.own(buffer);
            limits.buffers.add(own);
            return own;
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(where + name + ": " + e.getMessage(), e);
        }
    }

    private void apart(String name, Tensor a, String other, Tensor b) {
        require(disjoint(a, b), name + " and " + other, a.offset(), "apart from each other");
    }

    private static boolean disjoint(Tensor a, Tensor b) {
        return a.buffer() != b.buffer() || end(a) <= b.offset() || end(b) <= a.offset();
    }

    private static long end(Tensor t) {
        return t.offset() + (long) t.rows() * t.cols() * Float.BYTES;
    }

    private static String cols(Tensor tensor) {
        return Integer.toString(tensor.cols());
    }

    private void eps(float eps) {
        require(Float.isFinite(eps) && eps >= 0, "eps", eps, "finite, 0 or more");
    }

    private void finite(String name, float value) {
        require(Float.isFinite(value), name, value, "finite");
    }

    private void require(boolean holds, String name, Number seen, String allowed) {
        if (!holds) {
            throw new IllegalArgumentException(where + name + " is " + seen + ", allowed: " + allowed);
        }
    }
}
