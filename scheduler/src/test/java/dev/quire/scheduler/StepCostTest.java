package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class StepCostTest {
    private static final EngineConfig CONFIG = EngineConfig.DEFAULTS;

    private final StepCost cost = new StepCost(CONFIG);

    private void alone(int singles, long nanos, int times) {
        for (int i = 0; i < times; i++) {
            cost.observe(singles, 0, nanos);
        }
    }

    @Test
    void takesTheWholeBudgetWhenNobodyGenerates() {
        cost.observe(0, 100, 100_000);

        assertThat(cost.chunk(0, 0, 2048)).isEqualTo(2048);
    }

    @Test
    void measuresStepsWithoutPromptsBeforeItMixes() {
        cost.observe(0, 100, 100_000_000);
        alone(8, 10_000_000, 2);
        assertThat(cost.chunk(8, 0, 2040)).isZero();
        alone(8, 10_000_000, 1);
        assertThat(cost.chunk(8, 0, 2040)).isBetween(5, 14);
    }

    @Test
    void measuresAgainFromTimeToTime() {
        cost.observe(0, 100, 100_000_000);
        alone(8, 10_000_000, 3);
        int[] mixed = new int[5];
        for (int i = 0; i < mixed.length; i++) {
            while (cost.chunk(8, 0, 2040) > 0) {
                cost.observe(8, 10, 20_000_000);
                mixed[i]++;
            }
            alone(8, 10_000_000, 1);
        }

        assertThat(mixed).containsExactly(8, 16, 32, 64, 64);
    }

    @Test
    void boundsAStepThatWouldTakeTooLong() {
        cost.observe(0, 10, 10 * CONFIG.maxStepNanos() / 100);

        assertThat(cost.chunk(0, 0, 2048)).isEqualTo(100);
    }

    @Test
    void promptsAlwaysGetSomething() {
        cost.observe(0, 100, 100_000_000_000_000L);
        alone(8, 1000, 3);

        assertThat(cost.chunk(8, 0, 2040)).isEqualTo(1);
        assertThat(cost.chunk(0, 0, 2048)).isEqualTo(1);
        assertThat(cost.chunk(0, 0, 0)).isZero();
    }

    @Test
    void mixesNoMoreThanDoublesTheRowsWhileNoPriceIsKnown() {
        alone(8, 10_000_000, 3);

        assertThat(cost.chunk(8, 0, 2040)).isBetween(8, 12);
    }

    @Test
    void aCheapFirstChunkDoesNotMakeTheNextOneHuge() {
        cost.observe(0, 1000, 1_000_000);
        alone(8, 10_000_000, 3);
        cost.observe(8, 10, 10_000_000);

        assertThat(cost.chunk(8, 0, 2040)).isEqualTo(20);
    }

    @Test
    void takesMoreOfThePromptsTheMoreWait() {
        cost.observe(0, 1000, 1_000_000_000);
        alone(8, 10_000_000, 3);
        cost.observe(8, 500, 510_000_000);

        assertThat(cost.chunk(8, 1, 2040)).isEqualTo(14);
        assertThat(cost.chunk(8, 2, 2040)).isEqualTo(39);
        assertThat(cost.chunk(8, 4, 2040)).isEqualTo(89);
        assertThat(cost.chunk(8, 8, 2040)).isEqualTo(89);
        assertThat(cost.chunk(8, 12, 2040)).isEqualTo(139);
        assertThat(cost.chunk(8, 100, 2040)).isEqualTo(189);
    }

    @Test
    void oneHiccupIsNotTheRule() {
        cost.observe(0, 1000, 1_000_000_000);
        alone(8, 10_000_000, 3);
        int before = cost.chunk(8, 0, 2040);
        alone(8, 1_000_000_000, 1);

        assertThat(cost.chunk(8, 0, 2040)).isBetween(before, before + before / 2);
    }

    @Test
    void largeNumbersOfRowsAreMeasuredTogether() {
        cost.observe(0, 1000, 1_000_000_000);
        alone(120, 10_000_000, 3);

        assertThat(cost.chunk(113, 0, 2040)).isPositive();
        assertThat(cost.chunk(112, 0, 2040)).isZero();
        alone(1 << 20, 10_000_000, 3);
        assertThat(cost.chunk(1 << 20, 0, 2040)).isPositive();
    }

    @Test
    void expectsNothingOfAStepOfAKindNeverSeen() {
        alone(1, 1_000_000, 3);
        assertThat(cost.expected(1, 500)).isZero();
        cost.observe(0, 10, 5_000_000);

        assertThat(cost.expected(1, 500)).isEqualTo(251_000_000);
        assertThat(cost.expected(4, 0)).isBetween(1_000_000L, 4_000_000L);
    }
}
