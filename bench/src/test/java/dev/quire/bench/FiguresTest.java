package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class FiguresTest {
    private static final long MS = 1_000_000;

    private static Figures figures(Slo slo, Sample... samples) {
        return Figures.of(new LoadLoop.Outcome(List.of(samples), List.of("one failed"), 2_000 * MS), 0.5, slo);
    }

    @Test
    void percentilesAreValuesThatWereMeasured() {
        double[] shuffled = LongStream.rangeClosed(1, 200)
                .mapToDouble(i -> (i * 77 % 200 + 1) * MS)
                .toArray();
        assertThat(Percentiles.ofNanos(shuffled)).isEqualTo(new Percentiles(100, 190, 198));
        assertThat(Percentiles.ofNanos(new double[] {7 * MS})).isEqualTo(new Percentiles(7, 7, 7));
    }

    @Test
    void figuresComeFromArrivalsAndTheServersCounts() {
        Sample first = new Sample(0, new long[] {10 * MS, 12 * MS, 16 * MS}, 5, 7);
        Sample second = new Sample(5 * MS, new long[] {25 * MS}, 7, 1);
        Figures figures = figures(Slo.NONE, first, second);
        assertThat(figures.requests()).isEqualTo(3);
        assertThat(figures.failures()).isEqualTo(1);
        assertThat(figures.chunks()).isEqualTo(4);
        assertThat(figures.values())
                .containsEntry(Metric.OUTPUT_RATE, 4.0)
                .containsEntry(Metric.TOTAL_RATE, 10.0)
                .containsEntry(Metric.REQUEST_RATE, 1.0)
                .containsEntry(Metric.TTFT_P50, 10.0)
                .containsEntry(Metric.TTFT_P99, 20.0)
                .containsEntry(Metric.ITL_P50, 2.0)
                .containsEntry(Metric.ITL_P95, 4.0)
                .containsEntry(Metric.E2E_P50, 16.0)
                .containsEntry(Metric.E2E_P95, 20.0)
                .doesNotContainKey(Metric.GOODPUT_SHARE);
    }

    @Test
    void aServerThatFailsIsNotTheFastest() {
        assertThat(figures(Slo.NONE).values())
                .containsOnly(
                        Map.entry(Metric.OUTPUT_RATE, 0.0),
                        Map.entry(Metric.TOTAL_RATE, 0.0),
                        Map.entry(Metric.REQUEST_RATE, 0.0));
        assertThat(figures(Slo.NONE, new Sample(0, new long[] {10 * MS}, 5, 1)).values())
                .containsKeys(Metric.TTFT_P50, Metric.E2E_P99)
                .doesNotContainKeys(Metric.ITL_P50, Metric.TPOT_P95);
    }

    @Test
    void timePerTokenDoesNotDependOnHowManyAChunkCarries() {
        Sample coalesced = new Sample(0, new long[] {10 * MS, 34 * MS}, 5, 7); // 24 ms for 6 more tokens
        assertThat(figures(Slo.NONE, coalesced).values())
                .containsEntry(Metric.TPOT_P50, 4.0)
                .containsEntry(Metric.ITL_P50, 24.0);
    }

    @Test
    void goodputCountsRequestsThatKeepBothLimits() {
        Sample good = new Sample(0, new long[] {100 * MS, 150 * MS}, 5, 6); // 10 ms a token
        Sample lateFirst = new Sample(0, new long[] {101 * MS, 151 * MS}, 5, 6);
        Sample slowRest = new Sample(0, new long[] {100 * MS, 155 * MS}, 5, 6);
        Figures figures = figures(new Slo(100, 10), good, lateFirst, slowRest);
        assertThat(figures.values())
                .containsEntry(Metric.GOODPUT_SHARE, 0.25) // a failed request keeps nothing
                .containsEntry(Metric.GOODPUT_RATE, 0.5);
    }
}
