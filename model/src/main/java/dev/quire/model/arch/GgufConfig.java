package dev.quire.model.arch;

import dev.quire.kernels.DType;
import dev.quire.kernels.Op;
import dev.quire.model.weights.GgufFile;
import dev.quire.model.weights.GgufMetadata;
import dev.quire.model.weights.WeightTensor;
import dev.quire.model.weights.WeightsException;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads a {@link ModelConfig} out of the metadata of a GGUF file. */
public final class GgufConfig {
    /** The softmax among the gating functions of the GGUF specification. */
    private static final int SOFTMAX = 1;

    private static final String QWEN3_MOE = "qwen3moe";
    private static final List<String> SUPPORTED = List.of("llama", "qwen2", "qwen3", QWEN3_MOE);

    private final GgufFile file;
    private final GgufMetadata metadata;
    private final String architecture;

    private GgufConfig(GgufFile file) {
        this.file = file;
        metadata = file.metadata();
        architecture = metadata.requireString("general.architecture");
    }

    /** @throws WeightsException when a key is missing, out of range, or asks for something that is not supported */
    public static ModelConfig read(GgufFile file) {
        GgufConfig reader = new GgufConfig(file);
        if (!SUPPORTED.contains(reader.architecture)) {
            throw reader.wrong("general.architecture is " + reader.architecture + "; supported are "
                    + String.join(", ", SUPPORTED));
        }
        reader.refuseUnsupported();
        try {
            return reader.config();
        } catch (IllegalArgumentException e) {
            throw reader.wrong(e.getMessage());
        }
    }

    private WeightsException wrong(@Nullable String problem) {
        return new WeightsException(file.path(), String.valueOf(problem));
    }

    private void refuseUnsupported() {
        if (metadata.intValue("split.count", 1) > 1) {
            throw wrong("is one part of a split model, which is not supported; merge the parts first");
        }
        if (hasExperts()) {
            refuseUnsupportedExperts();
        }
        if (architecture.equals("llama") && file.tensor("blk.0.attn_q.bias") != null) {
            throw wrong("is a llama model with biases in its attention, which is not supported");
        }
    }

    private boolean hasExperts() {
        return number("expert_count", 0) > 0;
    }

    private void refuseUnsupportedExperts() {
        if (!architecture.equals("llama") && !architecture.equals(QWEN3_MOE)) {
            throw wrong(
                    "has experts (" + architecture + ".expert_count), which are supported for llama and " + QWEN3_MOE);
        }
        int gate = number("expert_gating_func", SOFTMAX);
        if (gate != SOFTMAX && gate != 0) {
            throw wrong(architecture + ".expert_gating_func is " + gate + "; supported is " + SOFTMAX + " (softmax)");
        }
        for (String key : List.of("expert_shared_count", "expert_group_count", "leading_dense_block_count")) {
            if (number(key, 0) > 0) {
                throw wrong(architecture + "." + key + " is " + number(key, 0) + ", which is not supported");
            }
        }
        double scale = metadata.number(architecture + ".expert_weights_scale", 1);
        if (scale != 1 && scale != 0) {
            throw wrong(architecture + ".expert_weights_scale is " + scale + ", which is not supported");
        }
    }

    private ModelConfig.@Nullable Experts experts() {
        if (!hasExperts() && !architecture.equals(QWEN3_MOE)) {
            return null;
        }
        return new ModelConfig.Experts(
                required("expert_count"),
                required("expert_used_count"),
                required(architecture.equals(QWEN3_MOE) ? "expert_feed_forward_length" : "feed_forward_length"),
                metadata.flag(architecture + ".expert_weights_norm", true),
                Set.of());
    }

    private ModelConfig config() {
        int heads = required("attention.head_count");
        int hidden = required("embedding_length");
        int headDim = number("attention.key_length", heads < 1 ? 0 : hidden / heads);
        if (number("attention.value_length", headDim) != headDim) {
            throw wrong("has keys and values of different width, which is not supported");
        }
        int rotaryDim = number("rope.dimension_count", headDim);
        WeightTensor embedding = file.tensor("token_embd.weight");
        if (embedding == null || embedding.shape().length != 2) {
            throw wrong("tensor token_embd.weight is missing or is no matrix");
        }
        return new ModelConfig(
                architecture.equals("llama") && hasExperts() ? "mixtral" : architecture,
                required("block_count"),
                hidden,
                required("feed_forward_length"),
                heads,
                number("attention.head_count_kv", heads),
                headDim,
                rotaryDim,
                (int) Math.min(embedding.shape()[0], Integer.MAX_VALUE),
                required("context_length"),
                (float) metadata.number(architecture + ".attention.layer_norm_rms_epsilon", 1e-5),
                new ModelConfig.Rope(metadata.number(architecture + ".rope.freq_base", 10000), scaling(rotaryDim)),
                architecture.equals("llama"),
                file.tensor("output.weight") == null,
                0,
                Op.Activation.SILU,
                experts());
    }

    private int required(String key) {
        return metadata.requireInt(architecture + "." + key);
    }

    private int number(String key, int fallback) {
        return metadata.intValue(architecture + "." + key, fallback);
    }

    private ModelConfig.@Nullable Scaling scaling(int rotaryDim) {
        WeightTensor factors = file.tensor("rope_freqs.weight");
        if (factors != null) {
            if (factors.type() != DType.F32 || factors.elements() != rotaryDim / 2) {
                throw wrong("tensor rope_freqs.weight should be " + rotaryDim / 2 + " floats");
            }
            return new ModelConfig.Scaling.Factors(factors.data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED));
        }
        String type = metadata.string(architecture + ".rope.scaling.type");
        if (type == null) {
            double factor = metadata.number(architecture + ".rope.scale_linear", 1);
            return factor == 1 ? null : new ModelConfig.Scaling.Linear(factor);
        }
        return switch (type) {
            case "none" -> null;
            case "linear" -> new ModelConfig.Scaling.Linear(metadata.number(architecture + ".rope.scaling.factor", 1));
            default ->
                throw wrong("rope scaling " + type + " is not supported; supported are "
                        + String.join(", ", List.of("none", "linear", "rope_freqs.weight")));
        };
    }
}
