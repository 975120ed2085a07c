package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ComparisonTest {
    private static Figures run(double rate, double ttft) {
        Map<Metric, Double> values = new EnumMap<>(Map.of(Metric.OUTPUT_RATE, rate, Metric.TTFT_P50, ttft));
        return new Figures(8, 0, 1, 10, 20, 20, 0.1, values);
    }

    private static Measured measured(int clients, double ttft, double... rates) {
        return Measured.of(
                "chat",
                Level.clients(clients),
                DoubleStream.of(rates).mapToObj(rate -> run(rate, ttft)).toList());
    }

    private static Result result(String label, Measured... levels) {
        return new Result(label, List.of(levels).stream().map(Measured::summary).toList());
    }

    private static Comparison.Cell cell(Comparison comparison, Metric metric, int server) {
        return comparison.lines().stream()
                .filter(line -> line.metric() == metric)
                .findFirst()
                .orElseThrow()
                .cells()
                .get(server);
    }

    @Test
    void mediansAndSpreadAreThoseOfTheRuns() {
        Summary summary = measured(8, 5, 90, 110, 100).summary();
        assertThat(summary.median(Metric.OUTPUT_RATE)).isEqualTo(100);
        assertThat(summary.spread(Metric.OUTPUT_RATE)).isEqualTo(0.2);
        assertThat(measured(8, 5, 90, 110).summary().median(Metric.OUTPUT_RATE)).isEqualTo(100);
    }

    @Test
    void ratiosAreToTheFirstAndBetterDependsOnTheFigure() {
        Comparison comparison =
                Comparison.of(List.of(result("a", measured(8, 40, 100)), result("b", measured(8, 20, 250))));
        assertThat(cell(comparison, Metric.OUTPUT_RATE, 1))
                .isEqualTo(new Comparison.Cell(250, 0, 2.5, Comparison.Verdict.BETTER));
        assertThat(cell(comparison, Metric.TTFT_P50, 1))
                .isEqualTo(new Comparison.Cell(20, 0, 0.5, Comparison.Verdict.BETTER));
        Comparison turned =
                Comparison.of(List.of(result("b", measured(8, 20, 250)), result("a", measured(8, 40, 100))));
        assertThat(cell(turned, Metric.OUTPUT_RATE, 1).verdict()).isEqualTo(Comparison.Verdict.WORSE);
        assertThat(cell(turned, Metric.TTFT_P50, 1).verdict()).isEqualTo(Comparison.Verdict.WORSE);
        assertThat(comparison.text()).contains("2.50x better").contains("chat, 8 clients");
    }

    @Test
    void whatLiesWithinTheSpreadIsTheSame() {
        Comparison comparison = Comparison.of(
                List.of(result("a", measured(8, 40, 95, 100, 105)), result("b", measured(8, 40, 108, 109, 110))));
        assertThat(cell(comparison, Metric.OUTPUT_RATE, 1).verdict()).isEqualTo(Comparison.Verdict.SAME);
    }

    @Test
    void onlyLevelsThatAllHaveAreCompared() {
        Result both = result("a", measured(1, 1, 1), measured(8, 1, 1));
        Comparison comparison = Comparison.of(List.of(both, result("b", measured(8, 1, 1))));
        assertThat(comparison.lines())
                .allSatisfy(line -> assertThat(line.title()).isEqualTo("chat, 8 clients"));
        Result other = result("c", measured(2, 1, 1));
        assertThatThrownBy(() -> Comparison.of(List.of(both, other))).hasMessageContaining("in common");
    }

    @Test
    void whatIsWrittenIsReadBack(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("a.json");
        Measured level = measured(8, 40, 90, 100);
        new Report("a", Map.of(), Map.of("--seed", "1"), List.of(level)).write(file);
        assertThat(Result.read(file)).isEqualTo(result("a", level));
        assertThat(Json.parse(Files.readString(file))
                        .path("machine")
                        .path("cores")
                        .asInt())
                .isPositive();
        Files.writeString(file, "{\"schema\":\"another/1\"}");
        assertThatThrownBy(() -> Result.read(file)).hasMessageContaining("another/1");
    }

    @Test
    void theTableGivesTheRatioToTheBestPeerOfEachFigure() {
        String table = MarkdownTable.of(List.of(
                result("ours", measured(8, 20, 300)),
                result("one", measured(8, 40, 100)),
                result("two", measured(8, 80, 150)),
                result("absent")));
        assertThat(table.lines())
                .anySatisfy(line -> assertThat(line).contains("output tok/s").endsWith("| 2.00 × |"))
                .anySatisfy(line -> assertThat(line).contains("TTFT p50").endsWith("| – | 0.50 × |"));
    }
}
