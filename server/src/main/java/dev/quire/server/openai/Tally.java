package dev.quire.server.openai;

import dev.quire.scheduler.Usage;

/** Sums the tokens of an answer, prompt by prompt. One thread. */
final class Tally {
    private final int promptTokens;
    private int seen;
    private Usage done = new Usage(0, 0, 0);

    /** Of prompts with so many tokens together. */
    Tally(int promptTokens) {
        this.promptTokens = promptTokens;
    }

    void generated(int tokens) {
        seen += tokens;
    }

    void finished(Usage usage) {
        done = new Usage(
                done.promptTokens() + usage.promptTokens(),
                done.completionTokens() + usage.completionTokens(),
                done.cachedTokens() + usage.cachedTokens());
    }

    /** What has been said so far. */
    Usage running() {
        return new Usage(promptTokens, seen, done.cachedTokens());
    }

    /** What the engine counted, once all prompts are done. */
    Usage total() {
        return done;
    }
}
