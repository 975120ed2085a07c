package dev.quire.scheduler;

import dev.quire.model.Batch;
import dev.quire.model.StepOutput;
import dev.quire.scheduler.TokenEvent.Scored;

/** Takes a step's results: marks blocks as computed, appends tokens, tells consumers, ends what is finished. */
final class Settlement {
    private static final String NOT_FINITE = "The model's output for this request is not finite.";

    private final EngineState state;
    private int drawn;
    private int accepted;

    Settlement(EngineState state) {
        this.state = state;
    }

    /** Tokens drawn since asked last. */
    int takeDrawn() {
        int count = drawn;
        drawn = 0;
        return count;
    }

    /** Guesses that came true since asked last. */
    int takeAccepted() {
        int count = accepted;
        accepted = 0;
        return count;
    }

    /**
     * Takes the results of one row.
     *
     * @param sample number of the row's first sample
     */
    void settle(PlanEntry entry, StepOutput output, int sample) {
        Sequence s = entry.sequence;
        Batch.Row row = entry.row;
        int scores = row.scoresTo() - row.scoresFrom();
        int draws = row.samples().size();
        if (s.state == Sequence.State.ENDED) {
            return;
        }
        int right = right(row, output, sample + scores);
        if (entry.current()) {
            state.cache.commit(s.blocks, s.tokens, row.to() - row.drafts() + right);
            if (row.drafts() > 0) {
                s.planned += right;
                state.cache.shrink(s.blocks, s.planned);
            }
        }
        if (scores > 0 && !putScores(s, row, output, sample)) {
            return;
        }
        if (draws > 0) {
            s.ahead--;
            draw(s, output, sample + scores);
            takeFurther(s, output, sample + scores, right);
        } else if (s.request.maxTokens == 0 && row.to() == s.length) {
            endAll(s.request);
        }
    }

    /** How many guesses of a row are what was drawn at their places. */
    private static int right(Batch.Row row, StepOutput output, int sample) {
        int guess = row.to() - row.drafts();
        int right = 0;
        while (right < row.drafts() && output.token(sample + right) == row.tokens()[guess + right]) {
            right++;
        }
        return right;
    }

    /** Takes what was drawn behind guesses that were right, until the sequence ends. */
    private void takeFurther(Sequence s, StepOutput output, int sample, int right) {
        for (int i = 1; i <= right && s.state != Sequence.State.ENDED; i++) {
            accepted++;
            draw(s, output, sample + i);
        }
    }

    /** The row was not computed and will not be: what it was to draw or score is open again. */
    static void lose(PlanEntry entry) {
        Sequence s = entry.sequence;
        Batch.Row row = entry.row;
        s.ahead -= row.samples().isEmpty() ? 0 : 1;
        if (row.scoresFrom() < row.scoresTo()) {
            s.scored = Math.min(s.scored, row.scoresFrom());
        }
    }

    /** False when a score is not a number, and the request has been failed. */
    private boolean putScores(Sequence s, Batch.Row row, StepOutput output, int sample) {
        Scored[] scores = new Scored[row.scoresTo() - row.scoresFrom()];
        for (int i = 0; i < scores.length; i++) {
            if (output.token(sample + i) < 0) {
                state.fail(s.request, NOT_FINITE);
                return false;
            }
            int token = row.tokens()[row.scoresFrom() + i + 1];
            scores[i] = scored(token, output, sample + i, Math.max(0, row.scoreLogprobs()));
        }
        s.request.ring.put(new TokenEvent.PromptScores(row.scoresFrom() + 1, scores));
        return true;
    }

    private void draw(Sequence s, StepOutput output, int sample) {
        ActiveRequest request = s.request;
        int draws = request.forked ? 1 : request.spec.n();
        for (int i = 0; i < draws; i++) {
            if (output.token(sample + i) < 0) {
                state.fail(request, NOT_FINITE);
                return;
            }
        }
        state.leavePrefill(request);
        if (!request.forked) {
            state.fork(request);
        }
        for (int i = 0; i < draws; i++) {
            Sequence choice = draws == 1 ? s : request.choices[i];
            if (choice != null && !request.ended(choice.choice)) {
                take(choice, output, sample + i);
            }
        }
        if (draws > 1 && !request.finished && request.ended(0)) {
            state.dropFirst(request);
        }
    }

    private void take(Sequence s, StepOutput output, int sample) {
        ActiveRequest request = s.request;
        int token = output.token(sample);
        s.append(token);
        drawn++;
        request.completionTokens++;
        request.longestChoice = Math.max(request.longestChoice, s.generated);
        time(s, request);
        FinishReason finish = null;
        if (contains(request.spec.endTokens(), token)) {
            finish = FinishReason.STOP;
        } else if (s.generated >= request.maxTokens) {
            finish = FinishReason.LENGTH;
        }
        int logprobs = request.spec.params().logprobs();
        if (finish == null && logprobs <= 0) {
            request.ring.putToken(s.choice, token, logprobs < 0 ? Float.NaN : output.logprob(sample));
        } else {
            request.ring.put(new TokenEvent.Token(s.choice, scored(token, output, sample, logprobs), finish));
        }
        if (finish != null) {
            state.endChoice(request, s.choice, finish);
        }
    }

    private void time(Sequence s, ActiveRequest request) {
        long now = state.now;
        if (request.completionTokens == 1) {
            request.firstTokenNanos = now;
            state.news.firstToken(now - request.arrivedNanos);
        } else if (s.generated > 1) {
            state.news.nextToken(now - s.lastTokenNanos);
        }
        s.lastTokenNanos = now;
        request.lastTokenNanos = now;
    }

    private void endAll(ActiveRequest request) {
        for (int c = 0; c < request.spec.n(); c++) {
            if (!request.ended(c)) {
                request.ring.put(new TokenEvent.ChoiceEnded(c, FinishReason.LENGTH));
                state.endChoice(request, c, FinishReason.LENGTH);
            }
        }
    }

    private static Scored scored(int token, StepOutput output, int sample, int logprobs) {
        if (logprobs <= 0) {
            return EventRing.plain(token, logprobs < 0 ? Float.NaN : output.logprob(sample));
        }
        int[] ids = new int[logprobs];
        float[] values = new float[logprobs];
        for (int i = 0; i < logprobs; i++) {
            ids[i] = output.topToken(sample, i);
            values[i] = output.topLogprob(sample, i);
        }
        return new Scored(token, output.logprob(sample), ids, values);
    }

    private static boolean contains(int[] tokens, int token) {
        for (int each : tokens) {
            if (each == token) {
                return true;
            }
        }
        return false;
    }
}
