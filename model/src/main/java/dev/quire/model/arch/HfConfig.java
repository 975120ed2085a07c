package dev.quire.model.arch;

import dev.quire.kernels.Op;
import dev.quire.model.weights.ModelJson;
import dev.quire.model.weights.WeightsException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Reads a {@link ModelConfig} out of a folder's {@code config.json}. */
public final class HfConfig {
    private static final int MAX_BYTES = 4 << 20;
    private static final Map<String, String> CLASSES = new TreeMap<>(Map.of(
            "LlamaForCausalLM", "llama",
            "MistralForCausalLM", "llama",
            "MixtralForCausalLM", "mixtral",
            "Qwen2ForCausalLM", "qwen2",
            "Qwen3ForCausalLM", "qwen3",
            "Qwen3MoeForCausalLM", "qwen3moe"));

    private final Path file;
    private final JsonNode root;

    private HfConfig(Path file, JsonNode root) {
        this.file = file;
        this.root = root;
    }

    /** @throws WeightsException when a field is missing, out of range, or asks for something that is not supported */
    public static ModelConfig read(Path folder) {
        Path file = folder.resolve("config.json");
        HfConfig reader = new HfConfig(file, ModelJson.read(file, MAX_BYTES));
        String name = reader.root.path("architectures").path(0).asString("");
        String architecture = CLASSES.get(name);
        if (architecture == null) {
            throw reader.wrong("architectures[0] is \"" + name.substring(0, Math.min(64, name.length()))
                    + "\"; supported are " + String.join(", ", CLASSES.keySet()));
        }
        reader.refuseUnsupported();
        try {
            return reader.config(architecture, name.startsWith("Mistral") || name.startsWith("Mixtral"));
        } catch (IllegalArgumentException e) {
            throw reader.wrong(String.valueOf(e.getMessage()));
        }
    }

    private WeightsException wrong(String problem) {
        return new WeightsException(file, problem);
    }

    private void refuseUnsupported() {
        for (String flag : new String[] {"attention_bias", "mlp_bias", "use_sliding_window"}) {
            if (root.path(flag).asBoolean(false)) {
                throw wrong(flag + " is true, which is not supported");
            }
        }
        JsonNode quantisation = root.path("quantization_config");
        if (quantisation.isObject() && !float8(quantisation)) {
            throw wrong(
                    "quantization_config is none of 8-bit floats (fp8 with e4m3 and no blocks other than 128 by 128,"
                            + " or compressed-tensors as float-quantized); supported are those, F32, F16 and BF16 in"
                            + " safetensors, and quantised models as GGUF");
        }
    }

    /** Whether matrices may be {@link dev.quire.kernels.DType#F8_E4M3}; each tensor then says what it is. */
    private static boolean float8(JsonNode quantisation) {
        JsonNode block = quantisation.path("weight_block_size");
        boolean squares = !block.isArray()
                || (block.size() == 2
                        && block.path(0).asInt(0) == 128
                        && block.path(1).asInt(0) == 128);
        return switch (quantisation.path("quant_method").asString("")) {
            case "fp8" -> squares && quantisation.path("fmt").asString("e4m3").equals("e4m3");
            case "compressed-tensors" ->
                quantisation.path("format").asString("").equals("float-quantized");
            default -> false;
        };
    }

    private ModelConfig config(String architecture, boolean windowed) {
        int heads = integer("num_attention_heads");
        int hidden = integer("hidden_size");
        int headDim = integer("head_dim", heads < 1 ? 0 : hidden / heads);
        JsonNode rope =
                root.path("rope_parameters").isObject() ? root.path("rope_parameters") : root.path("rope_scaling");
        double theta = rope.path("rope_theta").asDouble(root.path("rope_theta").asDouble(10000));
        double rotated = rope.path("partial_rotary_factor")
                .asDouble(root.path("partial_rotary_factor").asDouble(1));
        return new ModelConfig(
                architecture,
                integer("num_hidden_layers"),
                hidden,
                integer("intermediate_size"),
                heads,
                integer("num_key_value_heads", heads),
                headDim,
                (int) (headDim * rotated),
                integer("vocab_size"),
                integer("max_position_embeddings"),
                (float) root.path("rms_norm_eps").asDouble(1e-6),
                new ModelConfig.Rope(theta, scaling(rope)),
                false,
                root.path("tie_word_embeddings").asBoolean(false),
                windowed ? integer("sliding_window", 0) : 0,
                activation(),
                switch (architecture) {
                    case "mixtral" -> mixtral();
                    case "qwen3moe" -> qwen3Moe();
                    default -> null;
                });
    }

    private ModelConfig.Experts mixtral() {
        return new ModelConfig.Experts(
                integer("num_local_experts"),
                integer("num_experts_per_tok"),
                integer("intermediate_size"),
                true,
                Set.of());
    }

    private ModelConfig.Experts qwen3Moe() {
        int every = integer("decoder_sparse_step", 1);
        if (every < 1) {
            throw wrong("decoder_sparse_step is " + every + ", allowed: 1 or more");
        }
        int layers = integer("num_hidden_layers");
        Set<Integer> dense = new HashSet<>();
        for (JsonNode layer : root.path("mlp_only_layers")) {
            int index = layer.asInt(-1);
            if (index < 0 || index >= layers) {
                throw wrong("mlp_only_layers should be numbers of layers, 0 to " + (layers - 1));
            }
            dense.add(index);
        }
        for (int i = 0; i < layers; i++) {
            if ((i + 1) % every != 0) {
                dense.add(i);
            }
        }
        return new ModelConfig.Experts(
                root.has("num_experts") ? integer("num_experts") : integer("num_local_experts"),
                integer("num_experts_per_tok"),
                integer("moe_intermediate_size"),
                root.path("norm_topk_prob").asBoolean(false),
                dense);
    }

    private int integer(String field) {
        JsonNode v = root.path(field);
        if (!v.isIntegralNumber() || !v.canConvertToInt()) {
            throw wrong(field + " should be an integer");
        }
        return v.intValue();
    }

    private int integer(String field, int fallback) {
        JsonNode v = root.path(field);
        return v.isMissingNode() || v.isNull() ? fallback : integer(field);
    }

    private Op.Activation activation() {
        String name = root.path("hidden_act").asString("silu");
        return switch (name) {
            case "silu", "swish" -> Op.Activation.SILU;
            case "gelu_pytorch_tanh" -> Op.Activation.GELU_TANH;
            default -> throw wrong("hidden_act is not supported; supported are silu, gelu_pytorch_tanh");
        };
    }

    private ModelConfig.@Nullable Scaling scaling(JsonNode rope) {
        String type = rope.path("rope_type").asString(rope.path("type").asString("default"));
        return switch (type) {
            case "default" -> null;
            case "linear" -> new ModelConfig.Scaling.Linear(rope.path("factor").asDouble(0));
            case "llama3" ->
                new ModelConfig.Scaling.Llama3(
                        rope.path("factor").asDouble(0),
                        rope.path("low_freq_factor").asDouble(0),
                        rope.path("high_freq_factor").asDouble(0),
                        rope.path("original_max_position_embeddings").asInt(0));
            default -> throw wrong("rope scaling of this type is not supported; supported are default, linear, llama3");
        };
    }
}
