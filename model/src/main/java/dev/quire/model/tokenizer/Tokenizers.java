package dev.quire.model.tokenizer;

import dev.quire.model.weights.GgufFile;
import dev.quire.model.weights.WeightsException;
import java.nio.file.Path;

/** Reads a model's tokenizer from either file format. */
public final class Tokenizers {
    private Tokenizers() {}

    /**
     * The tokenizer in a GGUF file's metadata: byte-level ({@code gpt2}) or SentencePiece ({@code llama}).
     *
     * @throws WeightsException when it is missing, not sound, or of a kind not supported
     */
    public static Tokenizer fromGguf(GgufFile file) {
        return new GgufTokenizer(file.path(), file.metadata()).read();
    }

    /**
     * The tokenizer in a folder as Hugging Face lays it out: {@code tokenizer.json}, and where they exist
     * {@code tokenizer_config.json}, {@code generation_config.json} and {@code config.json} for the special tokens.
     *
     * @throws WeightsException when it is missing, not sound, or made of components not supported
     */
    public static Tokenizer fromDirectory(Path directory) {
        return new TokenizerFolder(directory).read();
    }
}
