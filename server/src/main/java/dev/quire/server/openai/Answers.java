package dev.quire.server.openai;

import dev.quire.scheduler.FinishReason;
import dev.quire.scheduler.TextEvent;
import dev.quire.scheduler.Usage;
import dev.quire.server.http.EventSource;
import dev.quire.server.http.Exchange;
import dev.quire.server.http.SseEvents;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Turns the events of a request into one answer, or into a stream of chunks. One thread at a time. */
final class Answers {
    private static final byte[] DONE = "[DONE]".getBytes(StandardCharsets.US_ASCII);

    private final Generations generations;
    private final ApiSurface api;
    private final int n;
    private final Tally tally;

    /** For generations of {@code n} choices each, whose prompts have so many tokens together. */
    Answers(Generations generations, ApiSurface api, int n, int promptTokens) {
        this.generations = generations;
        this.api = api;
        this.n = n;
        this.tally = new Tally(promptTokens);
    }

    /** How an endpoint writes its chunks. */
    interface Chunks {
        /** Whether the next chunks may hold a whole prompt. */
        boolean slow();

        /** The prompt's scored tokens, before the first delta of its choices. */
        void prompt(int prompt, List<TextEvent.TokenText> tokens);

        /** Adds the chunks for a delta of the choice {@code index} of the answer. */
        void delta(int index, TextEvent.Delta delta, @Nullable Usage running, SseEvents out);

        /** The last chunk, without choices. */
        byte[] usage(Usage total);
    }

    /** One choice, complete. */
    static final class Choice {
        final StringBuilder text = new StringBuilder();
        final List<TextEvent.TokenText> tokens = new ArrayList<>();

        @Nullable
        FinishReason finish;

        @Nullable
        Object stopReason;
    }

    /**
     * All of it.
     *
     * @param choices by index: prompt × n + choice
     * @param prompts the scored tokens of each prompt, empty where not asked for
     */
    record Whole(List<Choice> choices, List<List<TextEvent.TokenText>> prompts, Usage usage) {}

    /**
     * Waits for everything.
     *
     * @throws ApiException when any part failed
     */
    Whole whole() throws InterruptedException {
        List<Choice> choices = new ArrayList<>();
        List<List<TextEvent.TokenText>> prompts = new ArrayList<>();
        for (int i = 0; i < generations.size(); i++) {
            prompts.add(List.of());
            for (int j = 0; j < n; j++) {
                choices.add(new Choice());
            }
        }
        int open = generations.size();
        while (open > 0) {
            Generations.Numbered numbered = generations.next();
            ApiError fault = fault(numbered.event());
            if (fault != null) {
                throw fault.exception();
            }
            switch (numbered.event()) {
                case TextEvent.Prompt prompt -> prompts.set(numbered.prompt(), prompt.tokens());
                case TextEvent.Delta delta -> {
                    Choice choice = choices.get(numbered.prompt() * n + delta.choice());
                    choice.text.append(delta.text());
                    choice.tokens.addAll(delta.tokens());
                    choice.finish = delta.finish();
                    choice.stopReason = delta.stopReason();
                }
                case TextEvent.Done done -> {
                    tally.finished(done.usage());
                    open--;
                }
                case TextEvent.Failed _ -> open--;
            }
        }
        return new Whole(choices, prompts, tally.total());
    }

    /** Sends chunks as they come; an error after the status line becomes an event. */
    void stream(Exchange exchange, Chunks chunks, Sampling sampling) throws InterruptedException {
        exchange.sse().send(new Stream(chunks, sampling));
    }

    /** The answer in pieces. */
    private final class Stream implements EventSource {
        private final Chunks chunks;
        private final Sampling sampling;
        private int open = generations.size();

        Stream(Chunks chunks, Sampling sampling) {
            this.chunks = chunks;
            this.sampling = sampling;
        }

        @Override
        public void onNews(Runnable action) {
            generations.onNews(action);
        }

        @Override
        public boolean slow() {
            return chunks.slow();
        }

        @Override
        public More next(SseEvents out) {
            Generations.Numbered numbered = generations.poll();
            if (numbered == null) {
                return More.LATER;
            }
            ApiError fault = fault(numbered.event());
            if (fault != null) {
                out.add(api.errors().body(fault));
                out.add(DONE);
                return More.NEVER;
            }
            send(numbered.prompt(), numbered.event(), out);
            if (open > 0) {
                return More.NOW;
            }
            if (sampling.includeUsage()) {
                out.add(chunks.usage(tally.total()));
            }
            out.add(DONE);
            return More.NEVER;
        }

        private void send(int prompt, TextEvent event, SseEvents out) {
            switch (event) {
                case TextEvent.Prompt scored -> chunks.prompt(prompt, scored.tokens());
                case TextEvent.Delta delta -> {
                    tally.generated(delta.tokens().size());
                    Usage running = sampling.continuousUsage() ? tally.running() : null;
                    chunks.delta(prompt * n + delta.choice(), delta, running, out);
                }
                case TextEvent.Done done -> {
                    tally.finished(done.usage());
                    open--;
                }
                case TextEvent.Failed _ -> open--;
            }
        }
    }

    private @Nullable ApiError fault(TextEvent event) {
        boolean aborted = event instanceof TextEvent.Delta delta && delta.finish() == FinishReason.ABORT;
        boolean failed = event instanceof TextEvent.Failed
                || (event instanceof TextEvent.Delta delta && delta.finish() == FinishReason.ERROR);
        if ((aborted || failed) && api.live().ended()) {
            return new ApiError.Unavailable("The server is shutting down.", 5);
        }
        if (!failed) {
            return null;
        }
        return new ApiError.Internal(
                event instanceof TextEvent.Failed why ? why.message() : "The engine failed on this request.");
    }
}
