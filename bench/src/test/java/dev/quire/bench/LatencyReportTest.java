package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class LatencyReportTest {
    private static final long MS = 1_000_000;

    @Test
    void percentilesAreValuesThatWereMeasured() {
        long[] shuffled =
                LongStream.rangeClosed(1, 200).map(i -> (i * 77 % 200 + 1) * MS).toArray();
        LatencyReport.Percentiles percentiles = LatencyReport.Percentiles.ofNanos(shuffled);
        assertThat(percentiles).isEqualTo(new LatencyReport.Percentiles(100, 190, 198));
    }

    @Test
    void oneValueIsEveryPercentileAndNoneIsZero() {
        assertThat(LatencyReport.Percentiles.ofNanos(new long[] {7 * MS}))
                .isEqualTo(new LatencyReport.Percentiles(7, 7, 7));
        assertThat(LatencyReport.Percentiles.ofNanos(new long[0])).isEqualTo(new LatencyReport.Percentiles(0, 0, 0));
    }

    @Test
    void figuresComeFromArrivals() {
        Sample first = new Sample(0, new long[] {10 * MS, 12 * MS, 16 * MS}, 5, 3);
        Sample second = new Sample(5 * MS, new long[] {25 * MS}, 7, 1);
        LatencyReport report = LatencyReport.of(2, 1, 2_000 * MS, List.of(first, second));
        assertThat(report.requests()).isEqualTo(3);
        assertThat(report.outputPerSecond()).isEqualTo(2.0);
        assertThat(report.totalPerSecond()).isEqualTo(8.0);
        assertThat(report.firstToken()).isEqualTo(new LatencyReport.Percentiles(10, 20, 20));
        assertThat(report.betweenTokens()).isEqualTo(new LatencyReport.Percentiles(2, 4, 4));
        assertThat(report.whole()).isEqualTo(new LatencyReport.Percentiles(16, 20, 20));
        assertThat(report.row().lines()).hasSize(1);
    }
}
