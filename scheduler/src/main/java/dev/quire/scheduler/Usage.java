package dev.quire.scheduler;

/**
 * Tokens of a request.
 *
 * @param promptTokens of the prompt, counted once whatever n is
 * @param completionTokens of all choices together
 * @param cachedTokens of the prompt that the prefix cache held already
 */
public record Usage(int promptTokens, int completionTokens, int cachedTokens) {}
