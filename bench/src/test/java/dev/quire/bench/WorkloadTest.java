package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;

class WorkloadTest {
    @ParameterizedTest
    @EnumSource
    void theSameSeedAndNumberAreTheSameRequest(Workload workload) {
        Workload.Shape shape = workload.request(3, 5);
        assertThat(workload.request(3, 5).json("m")).isEqualTo(shape.json("m"));
        assertThat(workload.request(4, 5).json("m")).isNotEqualTo(shape.json("m"));
        assertThat(workload.request(3, 6).json("m")).isNotEqualTo(shape.json("m"));
    }

    @Test
    void requestsOfOneRunShareOnlyWhatTheyShould() {
        int[] one = Workload.SHARED_PREFIX.request(1, 0).prompt();
        int[] other = Workload.SHARED_PREFIX.request(1, 1).prompt();
        assertThat(Arrays.mismatch(one, other)).isEqualTo(640);
        assertThat(Arrays.mismatch(
                        Workload.CHAT.request(1, 0).prompt(),
                        Workload.CHAT.request(1, 1).prompt()))
                .isZero();
    }

    @Test
    void lengthsAreAskedForExactly() {
        Workload.Shape shape = Workload.RAGGED.request(1, 2);
        JsonNode body = Json.parse(shape.json("a \"quoted\" name"));
        assertThat(body.path("prompt").size()).isEqualTo(shape.prompt().length);
        assertThat(body.path("max_tokens").asInt()).isEqualTo(shape.outputTokens());
        assertThat(body.path("ignore_eos").asBoolean()).isTrue();
        assertThat(body.path("model").asString()).isEqualTo("a \"quoted\" name");
    }

    @Test
    void anUnknownNameIsToldTheKnownOnes() {
        assertThatThrownBy(() -> Workload.named("chatt")).hasMessageContaining("chat, ragged, long-prompt");
    }
}
