package dev.quire.scheduler;

import dev.quire.model.sampling.SamplingParams;
import org.jspecify.annotations.Nullable;

/**
 * What the engine is asked for, in token ids. Checked by the server for ranges; the engine checks what only it knows
 * (context length, queue).
 *
 * @param id for logs and metrics
 * @param prompt at least one token, all in the vocabulary; not written by anyone afterwards
 * @param params how tokens are drawn
 * @param n choices, at least 1; they share the prompt's KV blocks, copy-on-write
 * @param maxTokens output tokens of each choice; 0 only scores the prompt
 * @param minTokens end and stop tokens are forbidden before
 * @param endTokens tokens that end a choice (model's end tokens unless {@code ignore_eos}, and stop_token_ids)
 * @param priority lower runs first under the priority policy
 * @param cacheSalt separates prefix caches; null = shared
 */
public record GenerationRequest(
        String id,
        int[] prompt,
        SamplingParams params,
        int n,
        int maxTokens,
        int minTokens,
        int[] endTokens,
        long priority,
        @Nullable String cacheSalt) {}
