package dev.quire.scheduler;

import dev.quire.model.sampling.SamplingParams;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A request whose prompt is tokens already and whose output is wanted as text.
 *
 * @param maxTokens clamped to the context left by the engine when larger
 * @param ignoreEos go on past the model's end tokens
 * @param stop stop strings, none empty
 * @param stopTokenIds end tokens beside the model's
 * @param includeStop whether the matched stop string stays in the text
 * @param skipSpecialTokens whether special tokens are left out of the text
 */
public record TextRequest(
        String id,
        int[] prompt,
        SamplingParams params,
        int n,
        int maxTokens,
        int minTokens,
        boolean ignoreEos,
        List<String> stop,
        int[] stopTokenIds,
        boolean includeStop,
        boolean skipSpecialTokens,
        long priority,
        @Nullable String cacheSalt) {}
