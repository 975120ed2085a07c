package dev.quire.scheduler;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Lets sequences that repeat themselves take several tokens in one step: guesses are computed behind a row's last token
 * and a token is drawn at each. As long as what is drawn is what was guessed, it is what would have been drawn anyway:
 * a draw depends on the tokens before it, the seed and the position, and on nothing else. Guesses are made when the
 * step before has ended, and only as many as are expected to gain more time than they cost. Engine thread.
 */
final class Speculator {
    /** Guesses must be worth so much more than they cost. */
    private static final double MARGIN = 1.05;

    private final GuessPrice price = new GuessPrice();
    private final Speculation speculation;
    /** By how much guesses may stretch a step for those who have none in it. */
    private final double stretch;
    /** Chances that guesses are right, among all sequences. */
    private final float[] usual = Drafter.usualInChats();

    private int[] counts = new int[16];
    private int[] limits = new int[16];
    /** Chance that the next guess of an entry is used: that it and those before it are right. */
    private double[] chances = new double[16];

    Speculator(EngineConfig config) {
        speculation = config.speculation();
        stretch = config.stepStretch();
    }

    /** Learns from a step without prompts. */
    void observe(int sequences, int guesses, long nanos) {
        price.observe(sequences, guesses, nanos);
    }

    /** Whether guesses, by what is known before the step in flight has ended, would be worth waiting for that end. */
    boolean guesses(StepPlan plan) {
        int room = speculation.maxTokens() == 0 ? 0 : plan.guessesLeft();
        if (room > 0) {
            prepare(plan);
            choose(plan, room);
        }
        for (int i = 0; i < plan.entries.size() && room > 0; i++) {
            if (counts[i] > 0) {
                return true;
            }
        }
        return false;
    }

    /** Completes a plan whose predecessor has been settled. */
    void extend(StepPlan plan) {
        if (speculation.maxTokens() == 0) {
            return;
        }
        follow(plan);
        int room = plan.guessesLeft();
        if (room > 0) {
            prepare(plan);
            choose(plan, room);
            draft(plan);
        }
    }

    /** Moves the rows of sequences that have taken more tokens than was known when they were planned. */
    private static void follow(StepPlan plan) {
        for (int i = plan.entries.size() - 1; i >= 0; i--) {
            PlanEntry entry = plan.entries.get(i);
            Sequence s = entry.sequence;
            boolean moved = s.generated > 0 && entry.single && entry.row.to() != s.length;
            if (moved && !plan.place(i, 0)) {
                plan.retract(i);
            }
        }
    }

    private void prepare(StepPlan plan) {
        int size = plan.entries.size();
        if (size > counts.length) {
            counts = new int[2 * size];
            limits = new int[2 * size];
            chances = new double[2 * size];
        }
        Arrays.fill(counts, 0);
        for (int i = 0; i < size; i++) {
            PlanEntry entry = plan.entries.get(i);
            Drafter drafter = entry.single ? drafter(entry.sequence) : null;
            limits[i] = drafter == null ? 0 : limit(entry.sequence);
            chances[i] = drafter == null ? 0 : drafter.chance(0);
        }
    }

    /** The drafter of a sequence, when it has a guess. */
    private @Nullable Drafter drafter(Sequence s) {
        // Penalties count the tokens drawn before, which are not known yet.
        if (s.generated == 0 || s.counts != null) {
            return null;
        }
        Drafter drafter = s.drafter;
        if (drafter == null) {
            drafter = new Drafter(speculation, s.request.spec.prompt().length, usual);
            s.drafter = drafter;
        }
        return drafter.follow(s.tokens, s.length) ? drafter : null;
    }

    /** Guesses that can be of use: one token is drawn behind them, and one draw must serve for all. */
    private int limit(Sequence s) {
        int minTokens = s.request.spec.minTokens();
        int end = s.generated < minTokens ? Math.min(minTokens, s.request.maxTokens) : s.request.maxTokens;
        return Math.min(speculation.maxTokens(), end - s.generated - 1);
    }

    /** Adds guesses, the likeliest first, while tokens per time grow. */
    private void choose(StepPlan plan, int room) {
        double share = price.share(plan.singles);
        double tokens = plan.singles;
        double time = 1;
        for (int guesses = 0; guesses < room && time + share <= stretch; guesses++) {
            int best = likeliest(plan.entries.size());
            Drafter drafter = best < 0 ? null : plan.entries.get(best).sequence.drafter;
            if (drafter == null || chances[best] * time <= MARGIN * share * tokens) {
                return;
            }
            tokens += chances[best];
            time += share;
            chances[best] *= drafter.chance(++counts[best]);
        }
    }

    private int likeliest(int size) {
        int best = -1;
        for (int i = 0; i < size; i++) {
            if (counts[i] < limits[i] && (best < 0 || chances[i] > chances[best])) {
                best = i;
            }
        }
        return best;
    }

    private void draft(StepPlan plan) {
        for (int i = 0; i < plan.entries.size(); i++) {
            Sequence s = plan.entries.get(i).sequence;
            Drafter drafter = s.drafter;
            if (counts[i] > 0 && drafter != null) {
                s.reserve(s.length + counts[i]);
                drafter.draft(s.tokens, s.length, counts[i]);
                plan.place(i, counts[i]);
            }
        }
    }
}
