package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class DrafterTest {
    private static final Speculation NGRAMS = new Speculation(8, 4, 2);

    private static Drafter told(int[] tokens, int promptLength) {
        Drafter drafter = new Drafter(NGRAMS, promptLength, Drafter.usualInChats());
        for (int length = promptLength; length <= tokens.length; length++) {
            drafter.follow(tokens, length);
        }
        return drafter;
    }

    /** The guesses behind some tokens. */
    private static int[] guesses(Drafter drafter, int[] tokens, int count) {
        assertThat(drafter.follow(tokens, tokens.length)).isTrue();
        int[] longer = Arrays.copyOf(tokens, tokens.length + count);
        drafter.draft(longer, tokens.length, count);
        return Arrays.copyOfRange(longer, tokens.length, longer.length);
    }

    @Test
    void guessesWhatFollowedTheSameTokensBefore() {
        int[] tokens = {1, 2, 3, 4, 5, 6, 9, 3, 4};

        assertThat(guesses(told(tokens, 3), tokens, 3)).containsExactly(5, 6, 9);
    }

    @Test
    void theLongestMatchWinsOverTheLatest() {
        int[] tokens = {7, 1, 2, 3, 50, 8, 2, 3, 60, 1, 2, 3};

        assertThat(guesses(told(tokens, 12), tokens, 1)).containsExactly(50);
    }

    @Test
    void amongMatchesOfOneLengthTheLatestWins() {
        int[] tokens = {8, 2, 3, 50, 9, 2, 3, 60, 7, 2, 3};

        assertThat(guesses(told(tokens, 4), tokens, 1)).containsExactly(60);
    }

    @Test
    void aPeriodShorterThanTheGuessesGoesOn() {
        int[] tokens = {9, 1, 2, 3, 1, 2, 3, 1, 2};

        assertThat(guesses(told(tokens, 2), tokens, 7)).containsExactly(3, 1, 2, 3, 1, 2, 3);
    }

    @Test
    void hasNoGuessWhereNothingIsRepeated() {
        int[] tokens = IntStream.range(0, 20_000).toArray();
        Drafter drafter = new Drafter(NGRAMS, 10, Drafter.usualInChats());
        for (int length = 10; length <= tokens.length; length++) {
            assertThat(drafter.follow(tokens, length)).isFalse();
        }
    }

    @Test
    void oneTokenAloneIsNoMatchUnlessAskedFor() {
        int[] tokens = {1, 2, 3, 4, 2};

        assertThat(new Drafter(NGRAMS, 2, Drafter.usualInChats()).follow(tokens, 5))
                .isFalse();
        assertThat(guesses(new Drafter(new Speculation(8, 4, 1), 2, Drafter.usualInChats()), tokens, 2))
                .containsExactly(3, 4);
    }

    @Test
    void aLongPromptIsTakenInPartsAndThenKnown() {
        int[] tokens = new Random(3).ints(9_000, 0, 40_000).toArray();
        System.arraycopy(tokens, 8_000, tokens, 8_990, 10);
        Drafter drafter = new Drafter(NGRAMS, 8_998, Drafter.usualInChats());

        assertThat(drafter.follow(tokens, 9_000)).isFalse();
        assertThat(drafter.follow(tokens, 9_000)).isFalse();
        assertThat(guesses(drafter, tokens, 5)).isEqualTo(Arrays.copyOfRange(tokens, 8_010, 8_015));
    }

    @Test
    void hasNoGuessWhileItIsBehind() {
        int[] loop = IntStream.range(0, 9_000).map(i -> i % 30).toArray();
        Drafter drafter = new Drafter(NGRAMS, 10, Drafter.usualInChats());

        assertThat(drafter.follow(loop, 9_000)).isFalse();
        assertThat(drafter.follow(loop, 9_000)).isFalse();
        assertThat(drafter.follow(loop, 9_000)).isTrue();
    }

    @Test
    void theChanceFollowsWhatHasComeTrueOfEachKindOfMatch() {
        int[] loop = IntStream.range(0, 300).map(i -> i % 30).toArray();
        double known = told(loop, 35).chance(0);
        int[] broken =
                IntStream.range(0, 300).map(i -> i % 3 == 2 ? 100 + i : i % 3).toArray();
        double shaky = told(Arrays.copyOf(broken, 299), 5).chance(0);

        assertThat(known).isGreaterThan(0.95);
        assertThat(shaky).isLessThan(0.05);
    }

    @Test
    void isLessSureOfAGuessAfterAShortMatchThanDeepInALongOne() {
        int[] tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2};
        Drafter drafter = told(tokens, 5);

        assertThat(drafter.chance(0)).isLessThan(drafter.chance(1)).isLessThan(drafter.chance(7));
    }

    @Test
    void whatIsUsualIsLearnedFromAllSequences() {
        float[] usual = Drafter.usualInChats();
        int[] tokens = IntStream.range(0, 400).map(i -> i % 5).toArray();
        Drafter first = new Drafter(NGRAMS, 10, usual);
        for (int length = 10; length <= tokens.length; length++) {
            first.follow(tokens, length);
        }
        Drafter next = new Drafter(NGRAMS, 10, usual);
        next.follow(tokens, 10);

        assertThat(next.chance(20)).isGreaterThan(0.99).isLessThanOrEqualTo(1);
        assertThat(next.chance(0)).isCloseTo(Drafter.usualInChats()[3], within(0.1));
    }
}
