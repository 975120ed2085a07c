package dev.quire.model;

import dev.quire.kernels.Backend;
import dev.quire.model.arch.ModelConfig;
import dev.quire.model.chat.ChatFormat;
import dev.quire.model.tokenizer.Tokenizer;
import org.jspecify.annotations.Nullable;

/**
 * A model ready to run. Closing it frees the weights, the KV cache and the device.
 *
 * @param name default served name: the file's or folder's name, or the Hub id
 * @param chatFormat null for a model without a chat template
 * @param device facts for the start-up line
 * @param weightBytes memory of the packed weights
 * @param kvBytes memory of the KV cache
 * @param kvType element type of the KV cache, as {@code --kv-cache-dtype} names it
 */
public record LoadedModel(
        String name,
        ModelConfig config,
        Tokenizer tokenizer,
        @Nullable ChatFormat chatFormat,
        ModelRunner runner,
        Backend.DeviceInfo device,
        long weightBytes,
        long kvBytes,
        String kvType,
        AutoCloseable resources)
        implements AutoCloseable {
    /** The device in a few words, for people. */
    public String deviceLine() {
        return device.backend() + " (" + device.isa() + ", " + device.threads() + " threads)";
    }

    @Override
    public void close() {
        try {
            resources.close();
        } catch (Exception e) {
            throw new IllegalStateException("closing " + name, e);
        }
    }
}
