package dev.quire.model.arch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.kernels.Op;
import dev.quire.model.weights.GgufFile;
import dev.quire.model.weights.GgufWriter;
import dev.quire.model.weights.WeightsException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfigReadersTest {
    private static final String LLAMA_3 = """
            {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
             "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 1000,
             "max_position_embeddings": 131072, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "hidden_act": "silu",
             "tie_word_embeddings": true,
             "rope_scaling": {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                              "original_max_position_embeddings": 8192, "rope_type": "llama3"}}
            """;

    private final Path folder;

    ConfigReadersTest(@TempDir Path folder) {
        this.folder = folder;
    }

    private ModelConfig json(String text) throws IOException {
        Files.writeString(folder.resolve("config.json"), text);
        return HfConfig.read(folder);
    }

    @Test
    void readsAConfigurationOfTheOlderForm() throws IOException {
        ModelConfig c = json(LLAMA_3);
        assertThat(c)
                .isEqualTo(new ModelConfig(
                        "llama",
                        3,
                        64,
                        128,
                        8,
                        2,
                        8,
                        8,
                        1000,
                        131072,
                        1e-5f,
                        new ModelConfig.Rope(500000, new ModelConfig.Scaling.Llama3(32, 1, 4, 8192)),
                        false,
                        true,
                        0,
                        Op.Activation.SILU,
                        null));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "LlamaForCausalLM|GemmaForCausalLM|supported are LlamaForCausalLM, MistralForCausalLM, MixtralForCausalLM",
                "\"llama3\"|\"yarn\"|supported are default, linear, llama3",
                "\"silu\"|\"relu\"|supported are silu, gelu_pytorch_tanh",
                "\"hidden_size\": 64|\"hidden_size\": 1e3|hidden_size should be an integer",
                "\"num_hidden_layers\": 3|\"num_hidden_layers\": 0|layers is 0, allowed: 1 to 1024",
                "\"num_key_value_heads\": 2|\"num_key_value_heads\": 3|not a multiple of kvHeads 3",
                "\"vocab_size\": 1000|\"vocab_size\": 99999999999|vocab_size should be an integer",
                "\"factor\": 32.0|\"factor\": 0|rope scaling factor is 0.0",
                "\"tie_word_embeddings\": true|\"attention_bias\": true|attention_bias is true, which is not supported",
                "\"tie_word_embeddings\": true|\"quantization_config\": {}|quantised models as GGUF",
                "\"tie_word_embeddings\": true|\"quantization_config\": {\"quant_method\": \"awq\"}|8-bit floats",
                "\"tie_word_embeddings\": true|\"quantization_config\": {\"quant_method\": \"fp8\", \"weight_block_size\": [64, 64]}|8-bit floats",
                "\"tie_word_embeddings\": true|\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\"}|8-bit floats",
            })
    void refusesWhatItCannotRunAndSaysWhatItCan(String part, String instead, String message) {
        assertThatThrownBy(() -> json(LLAMA_3.replace(part, instead)))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("config.json")
                .hasMessageContaining(message);
    }

    private static GgufWriter gguf() {
        return new GgufWriter()
                .string("general.architecture", "llama")
                .uint32("llama.block_count", 2)
                .uint32("llama.context_length", 512)
                .uint32("llama.embedding_length", 32)
                .uint32("llama.feed_forward_length", 64)
                .uint32("llama.attention.head_count", 4)
                .tensor("token_embd.weight", new float[32 * 10], 10, 32);
    }

    private static GgufWriter experts() {
        return gguf().uint32("llama.expert_count", 8);
    }

    @Test
    void readsTheExpertsOfAGgufFile() throws IOException {
        ModelConfig c = read(experts().uint32("llama.expert_used_count", 2));
        assertThat(c.architecture()).isEqualTo("mixtral");
        assertThat(c.interleavedRope()).isTrue();
        assertThat(c.experts()).isEqualTo(new ModelConfig.Experts(8, 2, 64, true, Set.of()));
    }

    private static final String QWEN_3_MOE = """
            {"architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
             "num_hidden_layers": 6, "num_attention_heads": 8, "vocab_size": 1000, "max_position_embeddings": 1024,
             "num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 96, "decoder_sparse_step": 3,
             "mlp_only_layers": [5]}
            """;

    @Test
    void readsWhichLayersHaveExperts() throws IOException {
        assertThat(json(QWEN_3_MOE).experts())
                .isEqualTo(new ModelConfig.Experts(8, 3, 96, false, Set.of(0, 1, 3, 4, 5)));
        String all = QWEN_3_MOE
                .replace("\"decoder_sparse_step\": 3", "\"norm_topk_prob\": true")
                .replace("[5]", "[]")
                .replace("num_experts\"", "num_local_experts\"");
        assertThat(json(all).experts()).isEqualTo(new ModelConfig.Experts(8, 3, 96, true, Set.of()));
    }

    @ParameterizedTest
    @CsvSource({
        "'num_experts_per_tok\": 3','num_experts_per_tok\": 9','experts per token is 9, allowed: 1 to 8'",
        "'num_experts\": 8','num_experts\": 0','experts is 0'",
        "'sparse_step\": 3','sparse_step\": 0','decoder_sparse_step is 0, allowed: 1 or more'",
        "'[5]','[\"x\"]','mlp_only_layers should be numbers of layers'",
        "'[5]','[6]','mlp_only_layers should be numbers of layers'",
    })
    void refusesExpertsThatItCannotRun(String part, String instead, String message) {
        assertThatThrownBy(() -> json(QWEN_3_MOE.replace(part, instead)))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining(message);
    }

    private ModelConfig read(GgufWriter writer) throws IOException {
        Path path = Files.write(folder.resolve("m.gguf"), writer.bytes());
        try (GgufFile file = GgufFile.open(path)) {
            return GgufConfig.read(file);
        }
    }

    @Test
    void readsTheMetadataOfAGgufFileWithItsDefaults() throws IOException {
        ModelConfig c = read(gguf());
        assertThat(c.kvHeads()).isEqualTo(4);
        assertThat(c.headDim()).isEqualTo(8);
        assertThat(c.vocab()).isEqualTo(10);
        assertThat(c.interleavedRope()).isTrue();
        assertThat(c.tiedEmbeddings()).isTrue();
        assertThat(c.rope()).isEqualTo(new ModelConfig.Rope(10000, null));
    }

    @Test
    void dividesFrequenciesByTheFactorsOfAGgufFile() throws IOException {
        ModelConfig plain = read(gguf());
        ModelConfig scaled = read(gguf().tensor("rope_freqs.weight", new float[] {1, 2, 4, 8}, 4));
        float[] frequencies = RopeTable.frequencies(plain);
        assertThat(RopeTable.frequencies(scaled))
                .containsExactly(frequencies[0], frequencies[1] / 2, frequencies[2] / 4, frequencies[3] / 8);
    }

    @Test
    void refusesGgufFilesItCannotRun() throws IOException {
        assertRefused(new GgufWriter().string("general.architecture", "mamba"), "supported are llama, qwen2, qwen3");
        assertRefused(experts(), "metadata lacks llama.expert_used_count");
        assertRefused(experts().uint32("llama.expert_used_count", 9), "experts per token is 9, allowed: 1 to 8");
        assertRefused(experts().uint32("llama.expert_gating_func", 2), "expert_gating_func is 2; supported is 1");
        assertRefused(experts().uint32("llama.expert_shared_count", 1), "llama.expert_shared_count is 1");
        assertRefused(experts().float32("llama.expert_weights_scale", 2.5f), "expert_weights_scale is 2.5");
        assertRefused(gguf().string("llama.rope.scaling.type", "yarn"), "rope scaling yarn is not supported");
        assertRefused(gguf().uint32("split.count", 3), "split model");
        assertRefused(gguf().tensor("rope_freqs.weight", new float[3], 3), "should be 4 floats");
        assertRefused(gguf().uint32("llama.attention.head_count_kv", 3), "not a multiple of kvHeads 3");
    }

    private void assertRefused(GgufWriter writer, String message) {
        assertThatThrownBy(() -> read(writer))
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("m.gguf")
                .hasMessageContaining(message);
    }
}
