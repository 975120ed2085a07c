package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class LoadPlanTest {
    private static LoadPlan poisson(int count, double rate, long seed) {
        return LoadPlan.poisson(Workload.CHAT.lengths(1, count), rate, new SplittableRandom(seed));
    }

    @Test
    void aClosedLoopHasAllRequestsDueAtOnce() {
        LoadPlan plan = LoadPlan.closed(Workload.OFFLINE.lengths(1, 64), 8);
        assertThat(plan.due()).containsOnly(0).hasSize(64);
        assertThat(plan.inFlight()).isEqualTo(8);
    }

    @Test
    void poissonGapsAreExponentialWithTheRatesMean() {
        long[] due = poisson(20_001, 50, 1).due();
        double[] gaps = new double[20_000];
        for (int i = 0; i < gaps.length; i++) {
            gaps[i] = (due[i + 1] - due[i]) / 1e9;
        }
        double mean = Arrays.stream(gaps).average().orElseThrow();
        assertThat(mean).isCloseTo(1 / 50.0, within(0.0006));
        double square = Arrays.stream(gaps).map(g -> g * g).average().orElseThrow();
        assertThat(square / (mean * mean)).as("2 for an exponential").isCloseTo(2, within(0.1));
        assertThat(Arrays.stream(gaps).min().orElseThrow()).isNotNegative();
    }

    @Test
    void theSeedDecidesTheTimes() {
        long[] first = poisson(50, 5, 1).due();
        assertThat(poisson(50, 5, 1).due()).isEqualTo(first);
        assertThat(poisson(50, 5, 1).due()).isNotEqualTo(poisson(50, 5, 2).due());
    }

    @Test
    void aReplayBeginsWithTheFirstArrivalAndKeepsTheGaps() {
        List<Trace.Arrival> arrivals =
                List.of(new Trace.Arrival(5000, 7, 3), new Trace.Arrival(5500, 8, 4), new Trace.Arrival(7000, 9, 5));
        assertThat(LoadPlan.replay(arrivals, 1).due()).containsExactly(0, 500_000_000, 2_000_000_000);
        LoadPlan fast = LoadPlan.replay(arrivals, 2);
        assertThat(fast.due()).containsExactly(0, 250_000_000, 1_000_000_000);
        assertThat(fast.requests()).first().isEqualTo(new Lengths(0, 7, 3));
        assertThat(fast.inFlight()).isGreaterThan(1_000_000);
    }
}
