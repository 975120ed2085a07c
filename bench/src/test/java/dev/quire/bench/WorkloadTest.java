package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.function.ToIntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class WorkloadTest {
    private static final int MANY = 20_000;

    private static double mean(List<Lengths> lengths, ToIntFunction<Lengths> of) {
        return lengths.stream().mapToInt(of).average().orElseThrow();
    }

    @ParameterizedTest
    @EnumSource
    void aSeedAlwaysMakesTheSameLengths(Workload workload) {
        assertThat(workload.lengths(3, 60)).startsWith(workload.lengths(3, 50).toArray(Lengths[]::new));
    }

    @Test
    void anotherSeedMakesOthers() {
        assertThat(Workload.CHAT.lengths(3, 50)).isNotEqualTo(Workload.CHAT.lengths(4, 50));
        assertThat(Workload.RAGGED.lengths(3, 50)).isNotEqualTo(Workload.RAGGED.lengths(4, 50));
    }

    @Test
    void chatPromptsAreLogNormalAround160() {
        List<Lengths> lengths = Workload.CHAT.lengths(1, MANY);
        assertThat(mean(lengths, Lengths::prompt)).isCloseTo(160, within(2.0));
        double[] logs = lengths.stream().mapToDouble(l -> Math.log(l.prompt())).toArray();
        double mean = Arrays.stream(logs).average().orElseThrow();
        double deviation = Math.sqrt(Arrays.stream(logs)
                .map(log -> (log - mean) * (log - mean))
                .average()
                .orElseThrow());
        assertThat(deviation).isCloseTo(0.6, within(0.02));
        assertThat(lengths).allSatisfy(l -> {
            assertThat(l.prompt()).isBetween(8, 1024);
            assertThat(l.output()).isEqualTo(128);
        });
    }

    @Test
    void raggedLengthsCoverTheirRangesAndAreMostlyShort() {
        List<Lengths> lengths = Workload.RAGGED.lengths(1, MANY);
        assertThat(lengths.stream().mapToInt(Lengths::prompt).summaryStatistics())
                .satisfies(s -> assertThat(s.getMin()).isEqualTo(16))
                .satisfies(s -> assertThat(s.getMax()).isEqualTo(768));
        assertThat(lengths.stream().mapToInt(Lengths::output).summaryStatistics())
                .satisfies(s -> assertThat(s.getMin()).isEqualTo(16))
                .satisfies(s -> assertThat(s.getMax()).isEqualTo(256));
        assertThat(mean(lengths, l -> l.prompt() < 111 ? 1 : 0)).isCloseTo(0.5, within(0.02)); // √(16·768) = 111
        assertThat(mean(lengths, l -> l.output() < 64 ? 1 : 0)).isCloseTo(0.5, within(0.02));
    }

    @ParameterizedTest
    @CsvSource({"LONG_PROMPT, 0, 1500, 32", "SHARED_PREFIX, 1000, 50, 64", "OFFLINE, 0, 128, 128"})
    void theOthersAreFixed(Workload workload, int shared, int own, int output) {
        assertThat(workload.lengths(1, 3)).containsOnly(new Lengths(shared, own, output));
    }

    @Test
    void offlineIsSixtyFourAtOnce() {
        assertThat(Workload.OFFLINE.concurrency()).containsExactly(64);
        assertThat(Workload.OFFLINE.requests(64)).isEqualTo(64);
    }

    @Test
    void anUnknownNameIsToldTheKnownOnes() {
        assertThatThrownBy(() -> Workload.named("chatt"))
                .hasMessageContaining("chat, ragged, long-prompt, shared-prefix, offline");
    }
}
