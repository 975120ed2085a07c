package dev.quire.model;

import dev.quire.kernels.DType;
import dev.quire.model.arch.HfConfig;
import dev.quire.model.arch.ModelConfig;
import dev.quire.model.weights.GgufWeights;
import dev.quire.model.weights.GgufWriter;
import dev.quire.model.weights.SafetensorsDirectory;
import dev.quire.model.weights.WeightTensor;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** Writes a tiny safetensors model as a GGUF file, the way converters do: Llama's heads of q and k interleaved. */
final class TinyGguf {
    private static final String[] MATRICES = {
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
        "mlp.gate",
        "block_sparse_moe.gate"
    };
    private static final String[] EXPERTS = {
        "mlp.experts.gate_proj",
        "mlp.experts.up_proj",
        "mlp.experts.down_proj",
        "block_sparse_moe.experts.w1",
        "block_sparse_moe.experts.w2",
        "block_sparse_moe.experts.w3"
    };
    private static final String[] NORMS = {
        "input_layernorm", "post_attention_layernorm", "self_attn.q_norm", "self_attn.k_norm"
    };

    private final ModelConfig config;
    private final SafetensorsDirectory source;
    private final boolean emptyOutputs;
    private final GgufWriter writer = new GgufWriter();

    private TinyGguf(ModelConfig config, SafetensorsDirectory source, boolean emptyOutputs) {
        this.config = config;
        this.source = source;
        this.emptyOutputs = emptyOutputs;
    }

    static byte[] of(String tinyModel) {
        return of(tinyModel, false);
    }

    /** The same with attention outputs of type Q8_0, all zero. */
    static byte[] withQuantisedOutputs(String tinyModel) {
        return of(tinyModel, true);
    }

    private static byte[] of(String tinyModel, boolean emptyOutputs) {
        ModelConfig config = HfConfig.read(TinyModels.folder(tinyModel));
        try (SafetensorsDirectory source = SafetensorsDirectory.open(TinyModels.folder(tinyModel))) {
            return new TinyGguf(config, source, emptyOutputs).bytes();
        }
    }

    private byte[] bytes() {
        String a = architecture();
        writer.string("general.architecture", a)
                .uint32(a + ".block_count", config.layers())
                .uint32(a + ".context_length", config.maxPositions())
                .uint32(a + ".embedding_length", config.hidden())
                .uint32(a + ".feed_forward_length", config.inner())
                .uint32(a + ".attention.head_count", config.heads())
                .uint32(a + ".attention.head_count_kv", config.kvHeads())
                .uint32(a + ".attention.key_length", config.headDim())
                .uint32(a + ".attention.value_length", config.headDim())
                .float32(a + ".attention.layer_norm_rms_epsilon", config.normEps())
                .float32(a + ".rope.freq_base", (float) config.rope().theta());
        ModelConfig.Experts experts = config.experts();
        if (experts != null) {
            writer.uint32(a + ".expert_count", experts.count())
                    .uint32(a + ".expert_used_count", experts.chosen())
                    .uint32(a + ".expert_feed_forward_length", experts.inner());
        }
        copy("model.embed_tokens.weight", 0);
        copy("model.norm.weight", 0);
        copy("lm_head.weight", 0);
        for (int i = 0; i < config.layers(); i++) {
            layer("model.layers." + i + ".");
        }
        return writer.bytes();
    }

    /** As files name it. */
    private String architecture() {
        return config.architecture().equals("mixtral") ? "llama" : config.architecture();
    }

    private void layer(String at) {
        for (String name : MATRICES) {
            boolean rotated = architecture().equals("llama") && name.matches(".*[qk]_proj");
            int heads = name.endsWith("q_proj") ? config.heads() : config.kvHeads();
            copy(at + name + ".weight", rotated ? heads : 0);
            copy(at + name + ".bias", 0);
        }
        for (String name : EXPERTS) {
            stack(at + name.substring(0, name.lastIndexOf('.') + 1), name.substring(name.lastIndexOf('.') + 1));
        }
        for (String name : NORMS) {
            copy(at + name + ".weight", 0);
        }
    }

    /** The matrices of all experts as one tensor. */
    private void stack(String at, String name) {
        ModelConfig.Experts experts = config.experts();
        if (experts == null || source.tensor(at + "0." + name + ".weight") == null) {
            return;
        }
        List<float[]> matrices = new ArrayList<>();
        long[] shape = {experts.count(), 0, 0};
        for (int e = 0; e < experts.count(); e++) {
            WeightTensor tensor = Objects.requireNonNull(source.tensor(at + e + "." + name + ".weight"));
            matrices.add(tensor.data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED));
            System.arraycopy(tensor.shape(), 0, shape, 1, 2);
        }
        int size = matrices.getFirst().length;
        float[] all = new float[matrices.size() * size];
        for (int e = 0; e < matrices.size(); e++) {
            System.arraycopy(matrices.get(e), 0, all, e * size, size);
        }
        writer.tensor(GgufWeights.fileName(at + name + ".weight"), all, shape);
    }

    private void copy(String name, int interleavedHeads) {
        WeightTensor tensor = source.tensor(name);
        if (tensor == null || (name.startsWith("lm_head") && config.tiedEmbeddings())) {
            return;
        }
        if (emptyOutputs && name.endsWith("o_proj.weight")) {
            byte[] zeros = new byte[(int) DType.Q8_0.bytes(tensor.elements())];
            writer.tensor(GgufWeights.fileName(name), DType.Q8_0, zeros, tensor.shape());
            return;
        }
        float[] values = Objects.requireNonNull(tensor).data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
        int cols = (int) tensor.shape()[tensor.shape().length - 1];
        writer.tensor(
                GgufWeights.fileName(name),
                interleavedHeads == 0 ? values : interleaved(values, cols, interleavedHeads),
                tensor.shape());
    }

    /** Row i of the first half of a head goes to row 2 i, row i of the second half to row 2 i + 1. */
    private static float[] interleaved(float[] values, int cols, int heads) {
        float[] result = new float[values.length];
        int rows = values.length / cols;
        int half = rows / heads / 2;
        for (int row = 0; row < rows; row++) {
            int head = row / (2 * half);
            int within = row % (2 * half);
            int to = head * 2 * half + (within < half ? 2 * within : 2 * (within - half) + 1);
            System.arraycopy(values, row * cols, result, to * cols, cols);
        }
        return result;
    }
}
