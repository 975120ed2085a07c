package dev.quire.scheduler;

import dev.quire.model.tokenizer.Detokenizer;
import dev.quire.model.tokenizer.StopMatcher;
import dev.quire.model.tokenizer.Tokenizer;
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
    private static final int MOST_AT_ONCE = 64;
    /** Unread tokens of a choice beyond which its reader has fallen behind, and gets fewer and larger deltas. */
    private static final int BEHIND = 8;

    private final Tokenizer tokenizer;
    private final TextRequest request;
    private final Generation generation;
    private final Choice[] choices;
    private final List<TextEvent.TokenText> prompt = new ArrayList<>();
    private final Queue<TextEvent> ready = new ArrayDeque<>();
    private boolean promptTold;
    /** Whether tokens that are ready together go into one delta; each is one of its own otherwise. */
    private boolean merging;

    private int completionTokens;

    /** What one choice has come to. */
    private static final class Choice {
        final Detokenizer detokenizer;
        final StopMatcher stops;
        final StringBuilder text = new StringBuilder();
        List<TextEvent.TokenText> tokens = new ArrayList<>();
        int generated;
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
        promptTold = !request.params().promptLogprobs();
    }

    @Override
    public @Nullable TextEvent poll() {
        if (ready.isEmpty()) {
            takeAll();
        }
        TextEvent event = ready.peek();
        boolean last = event instanceof TextEvent.Done || event instanceof TextEvent.Failed;
        return last ? event : ready.poll();
    }

    @Override
    public void onNews(Runnable action) {
        generation.onNews(action);
    }

    @Override
    public void close() {
        generation.close();
    }

    private void takeAll() {
        merging = request.params().logprobs() < 0 && generation.unread() > BEHIND * choices.length;
        TokenEvent event = generation.poll();
        for (int taken = 1; event != null; taken++) {
            take(event);
            boolean last = event instanceof TokenEvent.Finished || event instanceof TokenEvent.Failed;
            event = last || taken == MOST_AT_ONCE ? null : generation.poll();
        }
        for (int i = 0; i < choices.length; i++) {
            tell(i, null, null);
        }
    }

    private void take(TokenEvent event) {
        switch (event) {
            case TokenEvent.Token token -> takeToken(token);
            case TokenEvent.PromptScores scores -> takeScores(scores);
            case TokenEvent.ChoiceEnded ended -> endWithoutToken(ended);
            case TokenEvent.Finished(Usage usage) -> {
                tellPrompt();
                ready.add(new TextEvent.Done(new Usage(usage.promptTokens(), completionTokens, usage.cachedTokens())));
            }
            case TokenEvent.Failed(String message) -> ready.add(new TextEvent.Failed(message));
        }
    }

    private void takeToken(TokenEvent.Token token) {
        Choice choice = choices[token.choice()];
        if (choice.ended) {
            return; // drawn in the step that was in flight when a stop string ended the choice
        }
        tellPrompt();
        completionTokens++;
        int id = token.token().id();
        choice.tokens.add(described(token.token()));
        boolean endToken = token.finish() == FinishReason.STOP;
        boolean hidden = endToken && !request.includeStop();
        String text = hidden ? "" : choice.detokenizer.push(id);
        // Stop strings count like end tokens: not before min_tokens.
        boolean early = ++choice.generated < request.minTokens();
        StopMatcher.Match match = early ? new StopMatcher.Match(text, null) : choice.stops.push(text);
        choice.text.append(match.text());
        FinishReason finish = token.finish();
        Object reason = endToken ? stopToken(id) : null;
        if (match.stop() != null) {
            reason = match.stop();
            if (finish == null) {
                generation.end(token.choice(), FinishReason.STOP);
            }
            finish = FinishReason.STOP;
        } else if (finish != null) {
            choice.text.append(rest(choice));
        }
        if (finish != null || !merging) {
            tell(token.choice(), finish, reason);
        }
    }

    private void endWithoutToken(TokenEvent.ChoiceEnded ended) {
        Choice choice = choices[ended.choice()];
        if (!choice.ended) {
            tellPrompt();
            choice.text.append(rest(choice));
            tell(ended.choice(), ended.finish(), null);
        }
    }

    /** What was held back, as half a character or as the possible beginning of a stop string. */
    private static String rest(Choice choice) {
        return choice.stops.push(choice.detokenizer.flush()).text() + choice.stops.flush();
    }

    /** Makes a delta of what a choice has gathered, if anything or if it ends. */
    private void tell(int index, @Nullable FinishReason finish, @Nullable Object reason) {
        Choice choice = choices[index];
        if (choice.tokens.isEmpty() && finish == null) {
            return;
        }
        ready.add(new TextEvent.Delta(index, choice.text.toString(), choice.tokens, finish, reason));
        choice.text.setLength(0);
        choice.tokens = new ArrayList<>();
        choice.ended = finish != null;
    }

    private @Nullable Object stopToken(int id) {
        for (int stop : request.stopTokenIds()) {
            if (stop == id) {
                return id;
            }
        }
        return null;
    }

    private void takeScores(TokenEvent.PromptScores scores) {
        for (TokenEvent.Scored token : scores.tokens()) {
            prompt.add(described(token));
        }
    }

    /** The prompt's tokens, all at once, before anything else. */
    private void tellPrompt() {
        if (!promptTold) {
            promptTold = true;
            prompt.addFirst(plain(request.prompt()[0], Float.NaN, List.of()));
            ready.add(new TextEvent.Prompt(List.copyOf(prompt)));
            prompt.clear();
        }
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
        return new TextEvent.TokenText(id, tokenizer.bytes(id), logprob, top);
    }
}
