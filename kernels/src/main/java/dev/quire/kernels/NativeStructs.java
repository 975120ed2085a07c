package dev.quire.kernels;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.util.Arrays;
import java.util.List;

/** The structs of quire.h, field by field. A test compares them with the header. */
final class NativeStructs {
    static final StructLayout DEVICE_OPTS = struct("QrDeviceOpts", ints("size", "threads", "isa", "reserved"));
    static final StructLayout DEVICE_INFO = struct(
            "QrDeviceInfo",
            ints("size", "threads", "isa", "queue"),
            longs("memory_bytes", "free_bytes"),
            new MemoryLayout[] {MemoryLayout.sequenceLayout(64, JAVA_BYTE).withName("name")});
    static final StructLayout WEIGHT = struct("QrWeight", longs("data"), ints("type", "cols"), longs("rows"));
    static final StructLayout OP = struct("QrOp", ints("opcode", "flags"), longs("args"));
    static final StructLayout COPY_BLOCKS =
            struct("QrCopyBlocks", longs("base", "region_bytes", "block_bytes"), ints("regions", "reserved"));
    static final StructLayout SWAP_BLOCKS = struct(
            "QrSwapBlocks", longs("base", "region_bytes", "block_bytes", "host"), ints("regions", "host_blocks"));
    static final StructLayout EMBED =
            struct("QrEmbed", longs("out"), weights("weight", 0), floats("scale"), ints("reserved"));
    static final StructLayout RMS_NORM = struct("QrRmsNorm", longs("x", "out", "weight"), ints("cols"), floats("eps"));
    static final StructLayout LINEAR = struct(
            "QrLinear",
            longs("x", "out", "bias"),
            weights("parts", 3),
            ints("n_parts", "in_cols", "out_cols", "reserved"));
    static final StructLayout ROPE_KV = struct(
            "QrRopeKv",
            longs("qkv", "q_out", "q_norm", "k_norm", "cos_sin", "k_cache", "v_cache"),
            ints("heads", "kv_heads", "head_dim", "rotary_dim", "kv_type", "block_tokens"),
            floats("eps"),
            ints("reserved"));
    static final StructLayout ATTENTION = struct(
            "QrAttention",
            longs("q", "out", "k_cache", "v_cache"),
            ints("heads", "kv_heads", "head_dim", "kv_type", "block_tokens", "window"),
            floats("scale", "softcap"));
    static final StructLayout GATED = struct("QrGated", longs("gate_up", "out"), ints("inner", "activation"));
    static final StructLayout EXPERTS = struct(
            "QrExperts",
            longs("sum", "x", "logits"),
            weights("gate", 0),
            weights("up", 0),
            weights("down", 0),
            ints("experts", "chosen", "activation", "reserved"));
    static final StructLayout GATHER_ROWS = struct("QrGatherRows", longs("x", "out"), ints("cols", "reserved"));
    static final StructLayout SAMPLE = struct("QrSample", longs("logits"), ints("vocab", "reserved"));
    static final StructLayout ALL_REDUCE = struct("QrAllReduce", longs("x"), ints("cols", "reserved"));
    static final StructLayout ALL_GATHER = struct("QrAllGather", longs("x", "out"), ints("cols", "out_cols"));
    static final StructLayout SAMPLE_ROW = struct(
            "QrSampleRow",
            ints("row", "target"),
            floats("temperature", "top_p", "min_p"),
            ints("top_k"),
            floats("repetition", "presence", "frequency"),
            ints("logprobs"),
            longs("seed"),
            ints("position", "stream", "bias_begin", "bias_end", "count_begin", "count_end"));
    static final StructLayout STEP = struct(
            "QrStep",
            ints("size", "n_tokens", "n_seqs", "n_logits", "n_samples", "n_copies", "table_stride"),
            ints("n_swaps_out", "n_swaps_in", "n_carried"),
            longs("token", "carry", "position", "slot", "query_start", "block_table", "logits_row", "copies"),
            longs("swaps_out", "swaps_in", "samples"),
            longs("bias_token", "bias_value", "count_token", "count_output"),
            longs("out_token", "out_logprob", "out_top_token", "out_top_logprob", "out_nanos"));

    /** Every struct of the header. */
    static final List<StructLayout> ALL = List.of(
            DEVICE_OPTS,
            DEVICE_INFO,
            WEIGHT,
            OP,
            COPY_BLOCKS,
            SWAP_BLOCKS,
            EMBED,
            RMS_NORM,
            LINEAR,
            ROPE_KV,
            ATTENTION,
            GATED,
            EXPERTS,
            GATHER_ROWS,
            SAMPLE,
            ALL_REDUCE,
            ALL_GATHER,
            SAMPLE_ROW,
            STEP);

    private NativeStructs() {}

    /** One struct in native memory, written by field name. Names are looked up: not for a hot path. */
    record Struct(StructLayout layout, MemorySegment memory) {
        static Struct in(Arena arena, StructLayout layout) {
            return new Struct(layout, arena.allocate(layout));
        }

        long offset(String field) {
            return layout.byteOffset(PathElement.groupElement(field));
        }

        Struct set(String field, int value) {
            memory.set(JAVA_INT, offset(field), value);
            return this;
        }

        Struct set(String field, long value) {
            memory.set(JAVA_LONG, offset(field), value);
            return this;
        }

        Struct set(String field, float value) {
            memory.set(JAVA_FLOAT, offset(field), value);
            return this;
        }

        /** Writes a weight into element {@code index} of the field. */
        Struct set(String field, int index, Weight weight) {
            long at = offset(field) + index * WEIGHT.byteSize();
            Struct part = new Struct(WEIGHT, memory.asSlice(at, WEIGHT));
            part.set("data", weight.buffer().address());
            part.set("type", weight.type().code());
            part.set("cols", weight.cols());
            part.set("rows", weight.rows());
            return this;
        }

        int integer(String field) {
            return memory.get(JAVA_INT, offset(field));
        }
    }

    private static StructLayout struct(String name, MemoryLayout[]... groups) {
        MemoryLayout[] fields = Arrays.stream(groups).flatMap(Arrays::stream).toArray(MemoryLayout[]::new);
        return MemoryLayout.structLayout(fields).withName(name);
    }

    private static MemoryLayout[] ints(String... names) {
        return fields(JAVA_INT, names);
    }

    private static MemoryLayout[] longs(String... names) {
        return fields(JAVA_LONG, names);
    }

    private static MemoryLayout[] floats(String... names) {
        return fields(JAVA_FLOAT, names);
    }

    private static MemoryLayout[] fields(MemoryLayout type, String... names) {
        MemoryLayout[] fields = new MemoryLayout[names.length];
        for (int i = 0; i < names.length; i++) {
            fields[i] = type.withName(names[i]);
        }
        return fields;
    }

    /** A weight, or {@code count} of them. */
    private static MemoryLayout[] weights(String name, int count) {
        MemoryLayout type = count == 0 ? WEIGHT : MemoryLayout.sequenceLayout(count, WEIGHT);
        return new MemoryLayout[] {type.withName(name)};
    }
}
