package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class RequestBodiesTest {
    private static final Lengths LENGTHS = new Lengths(10, 5, 7);

    private static JsonNode body(RequestBodies.Form form, long seed, int number) {
        byte[] body = new RequestBodies("a \"quoted\" name", form, seed).body(number, LENGTHS);
        return Json.parse(new String(body, StandardCharsets.UTF_8));
    }

    private static List<Integer> ids(long seed, int number) {
        List<Integer> ids = new ArrayList<>();
        body(RequestBodies.Form.IDS, seed, number).path("prompt").forEach(id -> ids.add(id.asInt()));
        return ids;
    }

    @Test
    void lengthsAreAskedForExactly() {
        JsonNode body = body(RequestBodies.Form.IDS, 1, 0);
        assertThat(body.path("prompt").size()).isEqualTo(15);
        assertThat(body.path("max_tokens").asInt()).isEqualTo(7);
        assertThat(body.path("ignore_eos").asBoolean()).isTrue();
        assertThat(body.path("temperature").asInt(-1)).isZero();
        assertThat(body.path("stream").asBoolean()).isTrue();
        assertThat(body.path("stream_options").path("include_usage").asBoolean())
                .isTrue();
        assertThat(body.path("model").asString()).isEqualTo("a \"quoted\" name");
    }

    @Test
    void requestsOfARunShareTheirBeginningAndNothingElse() {
        assertThat(ids(1, 0).subList(0, 10)).isEqualTo(ids(1, 1).subList(0, 10));
        assertThat(ids(1, 0).get(10)).isNotEqualTo(ids(1, 1).get(10));
    }

    @Test
    void aSeedAlwaysMakesTheSamePromptsAndAnotherOneOthers() {
        List<Integer> first = ids(1, 0);
        assertThat(ids(1, 0)).isEqualTo(first);
        assertThat(ids(1, 0).getFirst()).isNotEqualTo(ids(2, 0).getFirst());
    }

    @Test
    void idsAreOrdinaryTokens() {
        assertThat(ids(1, 0)).allSatisfy(id -> assertThat(id).isBetween(1000, 29_999));
    }

    @Test
    void textHasAWordForEachToken() {
        assertThat(body(RequestBodies.Form.TEXT, 1, 0).path("prompt").asString().split(" "))
                .hasSize(15)
                .allSatisfy(word -> assertThat(word).matches("[a-z]+"));
    }
}
