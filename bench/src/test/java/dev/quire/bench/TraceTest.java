package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TraceTest {
    @TempDir
    private Path folder = Path.of(".");

    private Path file(String text) throws IOException {
        return Files.writeString(folder.resolve("trace.jsonl"), text);
    }

    @Test
    void linesAreSortedByTimeAndBlankOnesSkipped() throws IOException {
        Trace trace = Trace.read(file("""
                {"at_ms":900,"prompt_tokens":3,"output_tokens":4}

                {"at_ms":100,"prompt_tokens":1,"output_tokens":2,"more":"is ignored"}
                """));
        assertThat(trace.arrivals()).containsExactly(new Trace.Arrival(100, 1, 2), new Trace.Arrival(900, 3, 4));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "not json; at_ms",
                "[1]; at_ms",
                "{\"at_ms\":1,\"prompt_tokens\":2}; output_tokens is missing",
                "{\"at_ms\":-1,\"prompt_tokens\":2,\"output_tokens\":3}; at_ms is -1",
                "{\"at_ms\":1.5,\"prompt_tokens\":2,\"output_tokens\":3}; at_ms is 1.5",
                "{\"at_ms\":1,\"prompt_tokens\":0,\"output_tokens\":3}; prompt_tokens is 0",
                "{\"at_ms\":1,\"prompt_tokens\":2,\"output_tokens\":99999999}; from 1 to",
                "{\"at_ms\":1,\"prompt_tokens\":2,\"output_tokens\":99999999999999999999999}; from 1 to",
                "{\"at_ms\":1,\"prompt_tokens\":\"2\",\"output_tokens\":3}; prompt_tokens is"
            })
    void aBadLineIsNamed(String line, String problem) throws IOException {
        Path file = file("{\"at_ms\":0,\"prompt_tokens\":1,\"output_tokens\":1}\n" + line + "\n");
        assertThatThrownBy(() -> Trace.read(file))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("line 2")
                .hasMessageContaining(problem);
    }

    @Test
    void anEmptyTraceIsRefused() throws IOException {
        Path file = file("\n");
        assertThatThrownBy(() -> Trace.read(file)).hasMessageContaining("no requests");
    }
}
