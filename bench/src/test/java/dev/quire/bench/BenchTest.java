package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URI;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BenchTest {
    @Test
    void withoutACommandItIsServe() {
        assertThat(Bench.withCommand()).containsExactly("serve");
        assertThat(Bench.withCommand("--url", "http://x")).containsExactly("serve", "--url", "http://x");
        assertThat(Bench.withCommand("--", "--threads", "1")).containsExactly("serve", "--", "--threads", "1");
        assertThat(Bench.withCommand("compare", "a", "b")).containsExactly("compare", "a", "b");
        assertThat(Bench.withCommand("--help")).containsExactly("--help");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "serve --workload nonsense",
                "serve --concurrency 2 --rate 3",
                "serve --rate 0",
                "serve --workload x.jsonl --rate 3",
                "serve --repeat 0",
                "serve --nonsense",
                "start --repeat 0",
                "compare one.json",
                "table --out x",
                "table --out x --server noequals",
                "table --out x --server a=http://127.0.0.1 --case chat",
                "nonsense"
            })
    void aBadCommandLineIsTwo(String line) {
        assertThat(Bench.commandLine().execute(Bench.withCommand(line.split(" "))))
                .isEqualTo(2);
    }

    @Test
    void addressesAreTakenWithAndWithoutTheVersion() {
        assertThat(new Target(URI.create("http://h:1/v1/"), null).base()).isEqualTo(URI.create("http://h:1"));
        assertThat(new Target(URI.create("http://h:1/api"), null).base()).isEqualTo(URI.create("http://h:1/api"));
        assertThatThrownBy(() -> new Target(URI.create("https://h"), null)).hasMessageContaining("http://HOST");
    }

    @Test
    void machineFactsAreThoseThatTheSystemTells() {
        String cpu = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 amx_int8 avx512_vnni\n";
        Machine machine = Machine.of(cpu, "MemTotal:       24683120 kB\n", "Linux 6");
        assertThat(machine.cpu()).isEqualTo("Some CPU");
        assertThat(machine.isa()).containsExactly("avx2", "avx512_vnni", "amx_int8");
        assertThat(machine.memoryBytes()).isEqualTo(24_683_120L * 1024);
        assertThat(Machine.of("", "", "x").cpu()).isEmpty();
    }

    @Test
    void residentMemoryIsReadFromTheStatus() {
        assertThat(ResidentMemory.residentBytes("VmHWM:\t  9 kB\nVmRSS:\t  1234 kB\n"))
                .isEqualTo(1234 * 1024);
        assertThat(ResidentMemory.residentBytes("")).isZero();
    }

    @Test
    void startsAreTabledByTheirMedianAndExtremes() {
        List<ColdStart> starts =
                List.of(new ColdStart(0.3, 1.25, 2), new ColdStart(0.1, 0.75, 9), new ColdStart(0.2, 10, 1));

        assertThat(StartBench.table(starts).lines())
                .containsExactly(
                        "3 starts                    median      min      max",
                        "port open                   0.20 s   0.10 s   0.30 s",
                        "first answer                1.25 s   0.75 s  10.00 s",
                        "processor time until then   2.00 s   1.00 s   9.00 s");
    }

    @Test
    void theBarFillsUp() {
        assertThat(ProgressLine.bar("t", 0, 10)).isEqualTo("t [" + " ".repeat(30) + "] 0/10");
        assertThat(ProgressLine.bar("t", 10, 10)).isEqualTo("t [" + "=".repeat(30) + "] 10/10");
    }
}
