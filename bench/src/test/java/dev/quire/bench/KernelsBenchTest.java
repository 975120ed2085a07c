package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;

class KernelsBenchTest {
    /** Stands for the real script: appends its flags to the file that {@code --json} names. */
    private static final String SCRIPT = """
            [ "$1 $3 $4 $5" = "--isa --threads 3 --json" ] || exit 9
            printf '{"isa":"%s"}\\n' "$2" >> "$6"
            exit 3
            """;

    @Test
    void theScriptGetsTheFlagsAndAppendsToTheFactsOfTheMachine(@TempDir Path home)
            throws IOException, InterruptedException {
        Path script = home.resolve("kernels/src/main/native/lab/run.sh");
        Files.createDirectories(script.getParent());
        Files.writeString(script, SCRIPT);
        Path json = home.resolve("ladder with space.json");
        Files.writeString(json, "an older result\n");
        KernelsBench bench = new KernelsBench();
        new CommandLine(bench).parseArgs("--isa", "avx2,scalar", "--threads", "3", "--json", json.toString());

        assertThat(bench.run(home)).isEqualTo(3);

        List<JsonNode> lines =
                Files.readAllLines(json).stream().map(Json::parse).toList();
        assertThat(lines).hasSize(2);
        assertThat(lines.get(0).path("schema").asString()).isEqualTo("quire-kernels/1");
        assertThat(lines.get(0).path("machine").has("cpu")).isTrue();
        assertThat(lines.get(1).path("isa").asString()).isEqualTo("avx2,scalar");
    }

    @ParameterizedTest
    @ValueSource(strings = {"--isa=avx3", "--threads=-1"})
    void flagsThatNoLevelOrDeviceTakesAreRefused(String flag, @TempDir Path home) {
        KernelsBench bench = new KernelsBench();
        new CommandLine(bench).parseArgs(flag);

        assertThatThrownBy(() -> bench.run(home)).isInstanceOf(IllegalArgumentException.class);
    }
}
