package dev.quire.scheduler;

import dev.quire.model.tokenizer.Detokenizer;
import dev.quire.model.tokenizer.StopMatcher;
import dev.quire.model.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import org.jspecify.annotations.Nullable;

/**
 * Turns the tokens of a generation into text: detokenizes, looks for stop strings, and ends the choices that hit one.
 * All of it happens on the reader's thread, never on the engine's.
 */
final class TextGeneration implements TextStream {
    private final Tokenizer tokenizer;
    private final TextRequest request;
    private final Generation generation;
    private final Choice[] choices;
    private final Queue<TextEvent> ready = new ArrayDeque<>();

    /** What one choice has come to. */
    private static final class Choice {
        final Detokenizer detokenizer;
        final StopMatcher stops;
        boolean ended;

        Choice(Tokenizer tokenizer, TextRequest request) {
            detokenizer = new Detokenizer(tokenizer, request.skipSpecialTokens());
            stops = new StopMatcher(request.stop(), request.includeStop());
        }
    }

    TextGeneration(Tokenizer tokenizer, TextRequest request, Generation generation) {
        this.tokenizer = tokenizer;
        this.request = request;
        this.generation = generation;
        this.choices = new Choice[request.n()];
        for (int i = 0; i < choices.length; i++) {
            choices[i] = new Choice(tokenizer, request);
        }
    }

    @Override
    public TextEvent next() throws InterruptedException {
        while (ready.isEmpty()) {
            take(generation.next());
        }
        return ready.remove();
    }

    @Override
    public void close() {
        generation.close();
    }

    private void take(TokenEvent event) {
        switch (event) {
            case TokenEvent.Token token -> takeToken(token);
            case TokenEvent.PromptScores scores -> ready.add(new TextEvent.Prompt(prompt(scores)));
            case TokenEvent.ChoiceEnded ended -> endWithoutToken(ended);
            case TokenEvent.Finished finished -> ready.add(new TextEvent.Done(finished.usage()));
            case TokenEvent.Failed failed -> ready.add(new TextEvent.Failed(failed.message()));
        }
    }

    private void takeToken(TokenEvent.Token token) {
        Choice choice = choices[token.choice()];
        if (choice.ended) {
            return; // drawn in the step that was in flight when a stop string ended the choice
        }
        int id = token.token().id();
        boolean endToken = token.finish() == FinishReason.STOP;
        boolean hidden = endToken && !request.includeStop();
        StopMatcher.Match match = choice.stops.push(hidden ? "" : choice.detokenizer.push(id));
        String text = match.text();
        FinishReason finish = token.finish();
        Object reason = endToken ? stopToken(id) : null;
        if (match.stop() != null) {
            finish = FinishReason.STOP;
            reason = match.stop();
            generation.abort(token.choice());
        } else if (finish != null) {
            StopMatcher.Match last = choice.stops.push(choice.detokenizer.flush());
            text += last.text() + choice.stops.flush();
            if (last.stop() != null && !endToken) {
                finish = FinishReason.STOP;
                reason = last.stop();
            }
        }
        choice.ended = finish != null;
        ready.add(new TextEvent.Delta(token.choice(), text, List.of(described(token.token())), finish, reason));
    }

    private void endWithoutToken(TokenEvent.ChoiceEnded ended) {
        Choice choice = choices[ended.choice()];
        if (choice.ended) {
            return;
        }
        choice.ended = true;
        String text = choice.stops.push(choice.detokenizer.flush()).text() + choice.stops.flush();
        ready.add(new TextEvent.Delta(ended.choice(), text, List.of(), ended.finish(), null));
    }

    private @Nullable Object stopToken(int id) {
        for (int stop : request.stopTokenIds()) {
            if (stop == id) {
                return id;
            }
        }
        return null;
    }

    private List<TextEvent.TokenText> prompt(TokenEvent.PromptScores scores) {
        List<TextEvent.TokenText> tokens = new ArrayList<>(scores.tokens().length + 1);
        if (scores.first() == 1) {
            tokens.add(described(new TokenEvent.Scored(request.prompt()[0], Float.NaN, new int[0], new float[0])));
        }
        for (TokenEvent.Scored token : scores.tokens()) {
            tokens.add(described(token));
        }
        return tokens;
    }

    private TextEvent.TokenText described(TokenEvent.Scored token) {
        List<TextEvent.TokenText> top = List.of();
        if (token.topIds().length > 0) {
            top = new ArrayList<>(token.topIds().length);
            for (int i = 0; i < token.topIds().length; i++) {
                top.add(plain(token.topIds()[i], token.topLogprobs()[i], List.of()));
            }
        }
        return plain(token.id(), token.logprob(), top);
    }

    private TextEvent.TokenText plain(int id, float logprob, List<TextEvent.TokenText> top) {
        byte[] bytes = tokenizer.bytes(id);
        return new TextEvent.TokenText(id, new String(bytes, StandardCharsets.UTF_8), bytes, logprob, top);
    }
}
