package dev.quire.model.weights;

import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The tensors of a GGUF file under their Hugging Face names. Closing it closes the file. */
public final class GgufWeights implements WeightSource {
    private static final Pattern LAYER = Pattern.compile("model\\.layers\\.(\\d+)\\.(.+)\\.(weight|bias)");
    private static final Map<String, String> OUTER = Map.of(
            "model.embed_tokens.weight", "token_embd.weight",
            "model.norm.weight", "output_norm.weight",
            "lm_head.weight", "output.weight");
    private static final Map<String, String> INNER = Map.ofEntries(
            Map.entry("input_layernorm", "attn_norm"),
            Map.entry("self_attn.q_proj", "attn_q"),
            Map.entry("self_attn.k_proj", "attn_k"),
            Map.entry("self_attn.v_proj", "attn_v"),
            Map.entry("self_attn.o_proj", "attn_output"),
            Map.entry("self_attn.q_norm", "attn_q_norm"),
            Map.entry("self_attn.k_norm", "attn_k_norm"),
            Map.entry("post_attention_layernorm", "ffn_norm"),
            Map.entry("mlp.gate", "ffn_gate_inp"),
            Map.entry("mlp.experts.gate_proj", "ffn_gate_exps"),
            Map.entry("mlp.experts.up_proj", "ffn_up_exps"),
            Map.entry("mlp.experts.down_proj", "ffn_down_exps"),
            Map.entry("block_sparse_moe.gate", "ffn_gate_inp"),
            Map.entry("block_sparse_moe.experts.w1", "ffn_gate_exps"),
            Map.entry("block_sparse_moe.experts.w3", "ffn_up_exps"),
            Map.entry("block_sparse_moe.experts.w2", "ffn_down_exps"),
            Map.entry("mlp.gate_proj", "ffn_gate"),
            Map.entry("mlp.up_proj", "ffn_up"),
            Map.entry("mlp.down_proj", "ffn_down"));

    private final GgufFile file;

    public GgufWeights(GgufFile file) {
        this.file = file;
    }

    @Override
    public Path path() {
        return file.path();
    }

    @Override
    public @Nullable WeightTensor find(String name) {
        return file.tensor(describe(name));
    }

    @Override
    public String describe(String name) {
        return fileName(name);
    }

    /** The name in GGUF files of a tensor by its Hugging Face name; unknown names stay as they are. */
    public static String fileName(String name) {
        String outer = OUTER.get(name);
        if (outer != null) {
            return outer;
        }
        Matcher layer = LAYER.matcher(name);
        String inner = layer.matches() ? INNER.get(layer.group(2)) : null;
        return inner == null ? name : "blk." + layer.group(1) + "." + inner + "." + layer.group(3);
    }

    @Override
    public long bytes() {
        return file.bytes();
    }

    @Override
    public void close() {
        file.close();
    }
}
