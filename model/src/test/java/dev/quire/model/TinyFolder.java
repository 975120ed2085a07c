package dev.quire.model;

import dev.quire.model.weights.SafetensorsDirectory;
import dev.quire.model.weights.WeightTensor;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;

/**
 * Writes a tiny model anew with as many key-value heads as query heads, which says the same in more words: each query
 * head gets a copy of the head that it shared. The reference's answers hold for the copy.
 */
final class TinyFolder {
    private final SafetensorsDirectory source;
    private final int copies;
    private final int headDim;
    private final int vocab;
    private final StringBuilder header = new StringBuilder("{");
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();

    private TinyFolder(SafetensorsDirectory source, int copies, int headDim, int vocab) {
        this.source = source;
        this.copies = copies;
        this.headDim = headDim;
        this.vocab = vocab;
    }

    /** Writes the model into a folder, with the first {@code vocab} of its tokens. */
    static Path write(String name, int vocab, Path folder) throws IOException {
        Path from = TinyModels.folder(name);
        String config = Files.readString(from.resolve("config.json"));
        int headDim = name.equals("qwen3") ? 16 : 8;
        try (SafetensorsDirectory source = SafetensorsDirectory.open(from)) {
            TinyFolder writer = new TinyFolder(source, 2, headDim, vocab);
            writer.all();
            Files.write(folder.resolve("model.safetensors"), writer.bytes());
        }
        Files.writeString(
                folder.resolve("config.json"),
                config.replace("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4")
                        .replace("\"vocab_size\": 128", "\"vocab_size\": " + vocab));
        return folder;
    }

    private void all() {
        for (String name : new String[] {"model.embed_tokens", "lm_head"}) {
            copy(name + ".weight", false, true);
        }
        copy("model.norm.weight", false, false);
        for (int i = 0; i < 2; i++) {
            String at = "model.layers." + i + ".";
            for (String name : new String[] {
                "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "self_attn.q_norm",
                "self_attn.k_norm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm",
                "post_attention_layernorm"
            }) {
                boolean shared = name.matches(".*[kv]_proj");
                copy(at + name + ".weight", shared, false);
                copy(at + name + ".bias", shared, false);
            }
        }
    }

    private void copy(String name, boolean shared, boolean cut) {
        WeightTensor tensor = source.tensor(name);
        if (tensor == null) {
            return;
        }
        float[] values = Objects.requireNonNull(tensor).data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
        long[] shape = tensor.shape().clone();
        int row = (int) (values.length / shape[0]);
        if (shared) {
            values = repeated(values, headDim * row);
            shape[0] *= copies;
        }
        if (cut) {
            values = Arrays.copyOf(values, vocab * row);
            shape[0] = vocab;
        }
        int begin = data.size();
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        data.writeBytes(bytes.array());
        header.append(header.length() == 1 ? "" : ",")
                .append(String.format(
                        Locale.ROOT,
                        "\"%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%d,%d]}",
                        name,
                        Arrays.toString(shape).replace(" ", ""),
                        begin,
                        data.size()));
    }

    /** Each piece of {@code size} values as often as there are copies. */
    private float[] repeated(float[] values, int size) {
        float[] result = new float[values.length * copies];
        for (int i = 0; i < result.length; i += size) {
            System.arraycopy(values, i / size / copies * size, result, i, size);
        }
        return result;
    }

    private byte[] bytes() {
        String text = header + "}";
        byte[] json = (text + " ".repeat((8 - text.length() % 8) % 8)).getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + json.length + data.size())
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(json.length)
                .put(json)
                .put(data.toByteArray())
                .array();
    }
}
