package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AnswerTest {
    private static final String CHUNK = "data: {\"choices\":[{\"text\":\"x\"}]}\n\n";
    private static final String USAGE =
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3}}\n\n";
    private static final String DONE = "data: [DONE]\n\n";

    /** Feeds pieces of so many bytes, the n-th at time n. */
    private static Answer read(String wire, int size) throws IOException {
        byte[] bytes = wire.getBytes(StandardCharsets.UTF_8);
        Answer answer = new Answer();
        for (int from = 0, piece = 1; from < bytes.length; from += size, piece++) {
            answer.feed(bytes, from, Math.min(bytes.length, from + size), piece);
        }
        return answer;
    }

    private static Sample sample(String wire) throws IOException {
        return read(wire, wire.length() + 100).sample(0, 3);
    }

    @Test
    void chunksAreTimedAndTokensAreTheServersCount() throws IOException {
        Sample sample = sample(CHUNK + CHUNK + USAGE + DONE);
        assertThat(sample.arrivals()).hasSize(2);
        assertThat(sample.promptTokens()).isEqualTo(5);
        assertThat(sample.outputTokens()).isEqualTo(3);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 35, 36, 37, 64})
    void itDoesNotMatterWhereReadsAreSplit(int size) throws IOException {
        Sample sample = read(CHUNK + CHUNK + CHUNK + USAGE + DONE, size).sample(0, 3);
        int end = CHUNK.length() - 1; // with the line's end the chunk is whole
        assertThat(sample.arrivals())
                .containsExactly(
                        Math.ceilDiv(end, size),
                        Math.ceilDiv(end + CHUNK.length(), size),
                        Math.ceilDiv(end + 2 * CHUNK.length(), size));
    }

    @Test
    void usageThatIsNullInEachChunkIsNoUsage() throws IOException {
        String chunk = "data: {\"choices\":[{\"text\":\"x\"}],\"usage\":null}\n\n";
        assertThat(sample(chunk + USAGE + DONE).arrivals()).hasSize(1);
    }

    @Test
    void usageMayComeWithTheLastChunk() throws IOException {
        String last =
                "data: {\"choices\": [ {\"text\":\"\"} ], \"usage\" : {\"prompt_tokens\":9,\"completion_tokens\":3}}\n\n";
        Sample sample = sample(CHUNK + last + DONE);
        assertThat(sample.arrivals()).hasSize(2);
        assertThat(sample.promptTokens()).isEqualTo(9);
    }

    @Test
    void textThatLooksLikeUsageIsText() throws IOException {
        String chunk = "data: {\"choices\":[{\"text\":\"\\\"usage\\\":{\\\"completion_tokens\\\":77}\"}]}\n\n";
        assertThat(sample(chunk + USAGE + DONE).outputTokens()).isEqualTo(3);
    }

    @Test
    void carriageReturnsCommentsAndOtherFieldsDoNoHarm() throws IOException {
        String wire = (": ping\n\nevent: x\n" + CHUNK + USAGE + DONE).replace("\n", "\r\n");
        assertThat(sample(wire).arrivals()).hasSize(1);
    }

    @Test
    void aLongLineInManyPiecesIsKeptWhole() throws IOException {
        String chunk = CHUNK.replace("x", "schön 🌍 ".repeat(500));
        assertThat(read(chunk + USAGE + DONE, 100).sample(0, 3).arrivals()).hasSize(1);
    }

    @Test
    void anErrorInTheStreamIsReportedWithItsText() {
        assertThatThrownBy(() -> sample("data: {\"error\":{\"message\":\"engine died\"}}\n\n"))
                .hasMessageContaining("engine died");
    }

    @Test
    void whatIsMissingIsSaid() {
        for (List<String> pair : List.of(
                List.of(CHUNK + USAGE, "ended early"),
                List.of(USAGE + DONE, "ended early"),
                List.of(CHUNK + DONE, "counted no tokens"),
                List.of(CHUNK + "data: {\"choices\n\n", "not JSON"))) {
            assertThatThrownBy(() -> sample(pair.getFirst())).hasMessageContaining(pair.getLast());
        }
        assertThatThrownBy(() -> read(CHUNK + USAGE + DONE, 1000).sample(0, 4)).hasMessageContaining("asked for 4");
    }
}
