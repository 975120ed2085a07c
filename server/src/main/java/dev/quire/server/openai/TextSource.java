package dev.quire.server.openai;

import dev.quire.scheduler.Refusal;
import dev.quire.scheduler.TextRequest;
import dev.quire.scheduler.TextStream;

/** Where text comes from: the engine, or a script in tests. Any thread; never blocks. */
@FunctionalInterface
public interface TextSource {
    /** Begins a request, or refuses it before anything was computed. */
    Start start(TextRequest request);

    /** What became of a request. */
    sealed interface Start {
        /** It runs; the stream must be closed. */
        record Started(TextStream stream) implements Start {}

        /** It was not taken. */
        record Refused(Refusal refusal) implements Start {}
    }
}
