package dev.quire.server.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A request's text does not depend on its company: 24 prompts, greedy and seeded, alone and then all at once, with one
 * thread and two, with and without prefix hits, with a large KV pool and with one so small that sequences are preempted,
 * guessing ahead and not, in every combination.
 */
@Tag("model")
class BatchInvarianceTest {
    private static final List<ObjectNode> REQUESTS = requests();
    private static List<String> alone = List.of();
    private static boolean guessed;

    @BeforeAll
    static void theQuietRun() throws Exception {
        try (RunningServer server = RunningServer.start(
                        "--threads", "2", "--no-enable-prefix-caching", "--speculative-config", "none");
                Client client = server.client()) {
            alone = oneAfterAnother(client);
        }
    }

    static Stream<Arguments> company() {
        return Stream.of("1", "2")
                .flatMap(threads -> Stream.of(true, false)
                        .flatMap(prefixes -> Stream.of(true, false)
                                .flatMap(tiny -> Stream.of(true, false)
                                        .map(guess -> Arguments.of(threads, prefixes, tiny, guess)))));
    }

    @ParameterizedTest(name = "{0} threads, prefix caching {1}, tiny pool {2}, guessing {3}")
    @MethodSource("company")
    void allAtOnceAnswerAsAlone(String threads, boolean prefixes, boolean tiny, boolean guess) throws Exception {
        List<String> flags = new ArrayList<>(List.of("--threads", threads));
        if (!prefixes) {
            flags.add("--no-enable-prefix-caching");
        }
        if (!guess) {
            flags.addAll(List.of("--speculative-config", "none"));
        }
        if (tiny) {
            flags.addAll(List.of("--max-model-len", "512", "--kv-cache-memory-bytes", "12M"));
        }
        try (RunningServer server = RunningServer.start(flags.toArray(String[]::new));
                Client client = server.client()) {
            assertThat(allAtOnce(client)).isEqualTo(alone);
            if (prefixes) {
                assertThat(allAtOnce(client)).as("on cached prefixes").isEqualTo(alone);
            }
            if (tiny) {
                assertThat(client.metric("vllm:num_preemptions_total")).isPositive();
            } else {
                assertThat(client.metric("vllm:prefix_cache_hits_total") > 0).isEqualTo(prefixes);
            }
            double accepted = client.metric("vllm:spec_decode_num_accepted_tokens_total");
            guessed |= accepted > 0;
            if (!guess) {
                assertThat(accepted).isZero();
            }
        }
    }

    /** Whether a storm has room for guesses depends on what steps cost; among so many some have. */
    @AfterAll
    static void someStormHasGuessedRight() {
        assertThat(guessed).isTrue();
    }

    @Test
    void smallStepBudgetsChangeNothing() throws Exception {
        try (RunningServer server = RunningServer.start("--max-num-batched-tokens", "37", "--max-num-seqs", "24");
                Client client = server.client()) {
            assertThat(allAtOnce(client)).isEqualTo(alone);
        }
    }

    /** What a stream says of each token, when nobody else is there and guesses are most likely to be made. */
    @Test
    void guessesChangeNeitherTokensNorTheirProbabilities() throws Exception {
        List<ObjectNode> requests = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            requests.add(Client.completion("one two three four one two three four one two", 90)
                    .put("temperature", i % 2 == 0 ? 0 : 0.6)
                    .put("seed", 77 + i)
                    .put("n", i % 2 == 0 ? 1 : 1 + i % 3)
                    .put("logprobs", i % 4)
                    .put("min_tokens", 20 + i));
        }
        requests.get(3).putObject("logit_bias").put("338", -2);
        requests.get(4).putArray("stop").add("three four\nfive").add("\n\n");
        List<String> quiet = choices(requests, "--speculative-config", "none");
        assertThat(choices(requests)).isEqualTo(quiet);
        assertThat(choices(requests, "--speculative-config", "{\"num_speculative_tokens\":20,\"prompt_lookup_min\":1}"))
                .isEqualTo(quiet);
    }

    private static List<String> choices(List<ObjectNode> requests, String... flags) throws Exception {
        try (RunningServer server = RunningServer.start(flags);
                Client client = server.client()) {
            List<String> choices = new ArrayList<>();
            for (ObjectNode request : requests) {
                JsonNode answer = client.post("/v1/completions", request);
                choices.add(answer.path("choices").toString() + answer.path("usage"));
            }
            assertThat(client.metric("vllm:spec_decode_num_accepted_tokens_total") > 0)
                    .isEqualTo(!List.of(flags).contains("none"));
            return choices;
        }
    }

    private static List<ObjectNode> requests() {
        String[] subjects = {
            "the sea",
            "a clock",
            "winter",
            "bread",
            "a lighthouse",
            "copper",
            "the moon",
            "an old map",
            "rivers",
            "a violin",
            "glass",
            "the desert"
        };
        List<ObjectNode> requests = new ArrayList<>();
        for (int i = 0; i < 24; i++) {
            String prompt = "Question " + i + ". " + "Some context that makes this prompt longer. ".repeat(i % 7)
                    + "Tell me something about " + subjects[i % subjects.length] + ".\nAnswer:";
            ObjectNode body = Client.completion(prompt, 48).put("ignore_eos", true);
            if (i % 2 == 0) {
                body.put("temperature", 0);
            } else {
                body.put("temperature", 0.9).put("top_p", 0.95).put("seed", 1000 + i);
            }
            requests.add(body);
        }
        return requests;
    }

    private static List<String> oneAfterAnother(Client client) throws Exception {
        List<String> texts = new ArrayList<>();
        for (ObjectNode request : REQUESTS) {
            texts.add(text(client, request));
        }
        return texts;
    }

    private static List<String> allAtOnce(Client client) throws Exception {
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<String>> futures = new ArrayList<>();
            for (ObjectNode request : REQUESTS) {
                futures.add(threads.submit(() -> text(client, request)));
            }
            List<String> texts = new ArrayList<>();
            for (Future<String> future : futures) {
                texts.add(future.get());
            }
            return texts;
        }
    }

    private static String text(Client client, ObjectNode request) throws Exception {
        return client.post("/v1/completions", request).at("/choices/0/text").asString();
    }
}
