package dev.quire.scheduler;

import dev.quire.model.tokenizer.Tokenizer;
import java.util.Arrays;

/**
 * Tokens in, text out, over an {@link Engine}. Detokenizing and stop strings are the work of the thread that reads the
 * stream. Any thread may start requests.
 */
public final class TextEngine {
    private final Engine engine;
    private final Tokenizer tokenizer;

    /** What became of a request. */
    public sealed interface Start {
        /** It runs; the stream must be closed. */
        record Started(TextStream stream) implements Start {}

        /** It was not taken. */
        record Refused(Refusal refusal) implements Start {}
    }

    public TextEngine(Engine engine, Tokenizer tokenizer) {
        this.engine = engine;
        this.tokenizer = tokenizer;
    }

    /** The engine below. */
    public Engine engine() {
        return engine;
    }

    /** Begins a request, or refuses it at once. */
    public Start start(TextRequest request) {
        GenerationRequest tokens = new GenerationRequest(
                request.id(),
                request.prompt(),
                request.params(),
                request.n(),
                request.maxTokens(),
                request.minTokens(),
                endTokens(request),
                request.priority(),
                request.cacheSalt());
        return switch (engine.submit(tokens)) {
            case Engine.Submission.Accepted(Generation generation) ->
                new Start.Started(new TextGeneration(tokenizer, request, generation));
            case Engine.Submission.Rejected(Refusal refusal) -> new Start.Refused(refusal);
        };
    }

    private int[] endTokens(TextRequest request) {
        int[] own = request.ignoreEos() ? new int[0] : tokenizer.eos();
        int[] all = Arrays.copyOf(own, own.length + request.stopTokenIds().length);
        System.arraycopy(request.stopTokenIds(), 0, all, own.length, request.stopTokenIds().length);
        return all;
    }
}
