package dev.quire.model;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * How a model is loaded.
 *
 * @param device auto, cpu, cuda or java
 * @param isa auto, avx512_bf16, avx512, avx2 or scalar: the CPU library's instruction set
 * @param threads compute threads; 0 = physical cores that this process may use
 * @param kvCacheBytes size of the KV cache; 0 = a share of the memory left
 * @param kvOffloadBytes host memory for blocks that the KV cache has no room for; 0 = none
 * @param gpuMemoryUtilization share of a GPU's memory that this process may take in all, above 0 and at most 1
 * @param kvType auto, bf16 (or bfloat16), int8, fp8 (or fp8_e4m3) or f32: auto is f32 for float32 models and high precision,
 *     else bf16
 * @param blockTokens positions in a KV block
 * @param maxModelLen positions of one sequence; 0 = the model's own
 * @param maxBatchedTokens tokens in one step
 * @param maxSequences sequences in one step
 * @param highPrecision 15-bit instead of 8-bit activations for quantised weights, and a float32 cache if auto
 * @param tensorParallel ranks that the model is split over; each has a GPU, or a share of the CPU's threads
 * @param chatTemplate a file with the chat template to use; null = the model's own
 */
public record LoadOptions(
        String device,
        String isa,
        int threads,
        long kvCacheBytes,
        long kvOffloadBytes,
        double gpuMemoryUtilization,
        String kvType,
        int blockTokens,
        int maxModelLen,
        int maxBatchedTokens,
        int maxSequences,
        boolean highPrecision,
        int tensorParallel,
        @Nullable Path chatTemplate) {
    /** What {@code quire serve} does without flags. */
    public static final LoadOptions DEFAULTS =
            new LoadOptions("auto", "auto", 0, 0, 0, 0.9, "auto", 16, 0, 2048, 128, false, 1, null);
}
