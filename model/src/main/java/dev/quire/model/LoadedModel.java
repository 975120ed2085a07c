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
 * @param device facts for the start-up line; of the first where there are several
 * @param tensorParallel devices that the model is split over
 * @param weightBytes memory of the packed weights, on all devices
 * @param kvBytes memory of the KV cache, on all devices
 * @param kvType element type of the KV cache, as {@code --kv-cache-dtype} names it
 */
public record LoadedModel(
        String name,
        ModelConfig config,
        Tokenizer tokenizer,
        @Nullable ChatFormat chatFormat,
        ModelRunner runner,
        Backend.DeviceInfo device,
        int tensorParallel,
        long weightBytes,
        long kvBytes,
        String kvType,
        AutoCloseable resources)
        implements AutoCloseable {
    /** The device in a few words, for people. */
    public String deviceLine() {
        String one = device.backend() + " (" + device.isa() + ", " + device.threads() + " threads)";
        return tensorParallel == 1 ? one : tensorParallel + " x " + one;
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
