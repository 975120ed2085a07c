package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;

class GuessPriceTest {
    private final GuessPrice price = new GuessPrice();

    @Test
    void beforeAnyStepAGuessCostsWhatIsUsual() {
        assertThat(price.share(1)).isCloseTo(1 / 9.4, within(1e-9));
        assertThat(price.share(32)).isCloseTo(1 / 52.8, within(1e-9));
    }

    @Test
    void learnsTheLineThatStepsLieOn() {
        for (int i = 0; i < 100; i++) {
            int rows = i % 3 == 0 ? 9 : 1;
            price.observe(1, rows - 1, 3_000_000 + 1_000_000L * rows);
        }

        assertThat(price.share(1)).isCloseTo(0.25, within(0.01));
    }

    /** A sequence reads its keys and values, a guess finds them read. */
    @Test
    void aGuessIsCheaperThanASequence() {
        for (int i = 0; i < 300; i++) {
            int sequences = 40 + i % 7 * 4;
            int guesses = i % 5 * 8;
            price.observe(sequences, guesses, 3_000_000 + 600_000L * sequences + 300_000L * guesses);
        }

        assertThat(price.share(64)).isCloseTo(0.3 / (3 + 0.6 * 64), within(0.0002));
    }

    @Test
    void noiseOfAFewPartsInTenChangesLittle() {
        Random random = new Random(5);
        for (int i = 0; i < 400; i++) {
            int rows = 1 + random.nextInt(9);
            price.observe(1, rows - 1, (long) ((3e6 + 1e6 * rows) * (0.8 + 0.4 * random.nextDouble())));
        }

        assertThat(price.share(1)).isBetween(0.18, 0.32);
    }

    @Test
    void aHiccupIsNotTheRule() {
        for (int i = 0; i < 100; i++) {
            price.observe(1, i % 5, 3_000_000 + 1_000_000L * (1 + i % 5));
        }
        double before = price.share(1);
        price.observe(1, 8, 10_000_000_000L);

        assertThat(price.share(1)).isBetween(before, 2.5 * before);
    }

    @Test
    void forgetsAPriceThatIsNotLookedAt() {
        for (int i = 0; i < 20; i++) {
            price.observe(6, i % 2 == 0 ? 0 : 4, i % 2 == 0 ? 6_000_000 : 10_000_000);
        }
        double dear = price.share(8);
        for (int i = 0; i < 400; i++) {
            price.observe(8, 0, 8_000_000);
        }

        assertThat(dear).isCloseTo(1 / 8.0, within(0.02));
        assertThat(price.share(8)).isCloseTo(1 / 19.2, within(0.01));
    }

    @Test
    void aRowIsNeverBelievedToBeFreeNorDearerThanTheOthers() {
        price.observe(1, 0, 10_000_000);
        for (int i = 0; i < 100; i++) {
            price.observe(1, 8, 5_000_000);
        }
        assertThat(price.share(1)).isPositive();
        for (int i = 0; i < 300; i++) {
            price.observe(8, i % 2, i % 2 == 0 ? 1_000_000 : 90_000_000);
        }
        assertThat(price.share(8)).isLessThanOrEqualTo(0.2);
    }
}
