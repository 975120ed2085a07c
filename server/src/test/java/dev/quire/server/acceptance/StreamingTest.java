package dev.quire.server.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.server.http.RawClient;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** What clients of vLLM and OpenAI rely on in streams and answers, with a model that speaks. */
@Tag("model")
class StreamingTest {
    private static final String COMPLETIONS = "/v1/completions";
    private static final String CHAT = "/v1/chat/completions";
    private static final String PROMPT = "The capital of France is";

    private static RunningServer server;
    private static Client client;

    @BeforeAll
    static void start() throws Exception {
        server = RunningServer.start("--max-model-len", "512", "--kv-cache-memory-bytes", "64M");
        client = server.client();
    }

    @AfterAll
    static void stop() {
        client.close();
        server.close();
    }

    private static ObjectNode greedy(String prompt, int maxTokens) {
        return Client.completion(prompt, maxTokens).put("temperature", 0).put("ignore_eos", true);
    }

    private static ObjectNode chat(String content, int maxTokens) {
        ObjectNode body =
                Client.JSON.createObjectNode().put("max_tokens", maxTokens).put("temperature", 0);
        body.putArray("messages").addObject().put("role", "user").put("content", content);
        return body;
    }

    private static JsonNode post(ObjectNode body) throws Exception {
        return client.post(COMPLETIONS, body);
    }

    private static String text(JsonNode answer) {
        return answer.at("/choices/0/text").asString();
    }

    /** The chunks of a stream, which ends with [DONE] and has nothing but chunks. */
    private static List<JsonNode> stream(String path, ObjectNode body) throws Exception {
        try (RawClient raw = new RawClient(server.port())) {
            RawClient.Answer answer =
                    raw.post(path, body.put("stream", true).toString()).answer();
            assertThat(answer.status()).as(answer.body()).isEqualTo(200);
            assertThat(answer.headers())
                    .containsEntry("Content-Type", "text/event-stream; charset=utf-8")
                    .containsEntry("Cache-Control", "no-cache")
                    .containsEntry("X-Accel-Buffering", "no");
            assertThat(answer.body()).endsWith("\n\ndata: [DONE]\n\n");
            List<JsonNode> chunks = new ArrayList<>();
            for (String event : answer.body().strip().split("\n\n", -1)) {
                assertThat(event).startsWith("data: ");
                if (!event.equals("data: [DONE]")) {
                    chunks.add(Client.JSON.readTree(event.substring("data: ".length())));
                }
            }
            return chunks;
        }
    }

    private static String joined(List<JsonNode> chunks, String pointer) {
        return chunks.stream().map(c -> c.at(pointer).asString("")).collect(Collectors.joining());
    }

    @Test
    void aStreamSaysTheSameAsAWholeAnswerATokenAChunk() throws Exception {
        JsonNode whole = post(greedy(PROMPT, 24));
        List<JsonNode> chunks = stream(COMPLETIONS, greedy(PROMPT, 24));
        assertThat(joined(chunks, "/choices/0/text")).isEqualTo(text(whole)).isNotBlank();
        assertThat(chunks).hasSizeBetween(2, 24);
        assertThat(chunks.stream().map(c -> c.at("/id").asString()).distinct()).hasSize(1);
        assertThat(chunks.stream().map(c -> c.at("/created").asLong()).distinct())
                .hasSize(1);
        assertThat(chunks).allMatch(c -> c.at("/object").asString().equals("text_completion") && !c.has("usage"));
        assertThat(chunks.subList(0, chunks.size() - 1))
                .allMatch(c -> c.at("/choices/0/finish_reason").isNull());
        JsonNode last = chunks.getLast().at("/choices/0");
        assertThat(last.at("/finish_reason").asString()).isEqualTo("length");
        assertThat(last.at("/text").asString())
                .as("the last text comes with the reason")
                .isNotEmpty();
    }

    @Test
    void usageComesLastWhenAskedForAndOnTheWayWhenAskedFor() throws Exception {
        ObjectNode body = greedy(PROMPT, 6);
        body.putObject("stream_options").put("include_usage", true);
        List<JsonNode> chunks = stream(COMPLETIONS, body);
        assertThat(chunks.getLast().at("/choices")).isEmpty();
        assertThat(chunks.getLast().at("/usage/completion_tokens").asInt()).isEqualTo(6);
        int prompt = chunks.getLast().at("/usage/prompt_tokens").asInt();
        assertThat(prompt).isEqualTo(5);
        assertThat(chunks.getLast().at("/usage/total_tokens").asInt()).isEqualTo(11);
        assertThat(chunks.subList(0, chunks.size() - 1)).noneMatch(c -> c.has("usage"));

        body.putObject("stream_options").put("include_usage", true).put("continuous_usage_stats", true);
        List<Integer> running = stream(COMPLETIONS, body).stream()
                .map(c -> c.at("/usage/completion_tokens").asInt(-1))
                .toList();
        assertThat(running).isSorted().startsWith(1).endsWith(6, 6).allMatch(n -> n > 0);
    }

    @Test
    void chatStreamsBeginWithTheRoleAndEndWithTheReason() throws Exception {
        JsonNode whole = client.post(CHAT, chat("What is the capital of France?", 12));
        ObjectNode body = chat("What is the capital of France?", 12);
        body.putObject("stream_options").put("include_usage", true);
        List<JsonNode> chunks = stream(CHAT, body);
        JsonNode first = chunks.getFirst().at("/choices/0");
        assertThat(first.at("/delta/role").asString()).isEqualTo("assistant");
        assertThat(first.at("/delta/content").asString("?")).isEmpty();
        assertThat(first.at("/finish_reason").isNull()).isTrue();
        assertThat(chunks.stream().skip(1))
                .noneMatch(c -> c.at("/choices/0/delta").has("role"));
        assertThat(joined(chunks, "/choices/0/delta/content"))
                .isEqualTo(whole.at("/choices/0/message/content").asString())
                .isNotBlank();
        JsonNode last = chunks.get(chunks.size() - 2).at("/choices/0");
        assertThat(last.at("/finish_reason").asString())
                .isEqualTo(whole.at("/choices/0/finish_reason").asString());
        assertThat(chunks.getLast().at("/choices")).isEmpty();
        assertThat(chunks.getLast().at("/system_fingerprint").isString()).isTrue();
        assertThat(chunks).allMatch(c -> c.at("/object").asString().equals("chat.completion.chunk"));
    }

    @ParameterizedTest
    @ValueSource(strings = {COMPLETIONS, CHAT})
    void severalChoicesInterleaveAndEachEndsOnce(String path) throws Exception {
        ObjectNode body = path.equals(CHAT) ? chat("Say something.", 8) : Client.completion(PROMPT, 8);
        body.put("n", 3).put("temperature", 1.2).put("ignore_eos", true).put("seed", 11);
        List<JsonNode> chunks = stream(path, body);
        assertThat(chunks).allMatch(c -> c.at("/choices").size() == 1);
        for (int i = 0; i < 3; i++) {
            int index = i;
            List<JsonNode> mine = chunks.stream()
                    .map(c -> c.at("/choices/0"))
                    .filter(c -> c.at("/index").asInt() == index)
                    .toList();
            assertThat(mine).isNotEmpty();
            assertThat(mine.stream().filter(c -> c.at("/finish_reason").isString()))
                    .containsExactly(mine.getLast());
            if (path.equals(CHAT)) {
                assertThat(mine.stream().filter(c -> c.at("/delta").has("role")))
                        .containsExactly(mine.getFirst());
            }
        }
        assertThat(chunks.stream()
                        .map(c -> c.at("/choices/0/index").asInt())
                        .limit(8)
                        .distinct())
                .hasSize(3);
    }

    /** A text of characters that are several tokens each makes the model go on with such characters. */
    @Test
    void charactersOfSeveralTokensAreNeverSplit() throws Exception {
        String emoji = "\ud83e\udd96\u00e9\u4e2d";
        List<Integer> ids = ids(emoji);
        assertThat(ids).hasSizeGreaterThan(4);
        ObjectNode body =
                Client.completion(emoji.repeat(20), 40).put("temperature", 0).put("ignore_eos", true);
        List<JsonNode> chunks = stream(COMPLETIONS, body);
        assertThat(joined(chunks, "/choices/0/text"))
                .isEqualTo(text(post(body.deepCopy().put("stream", false))));
        assertThat(chunks.stream().map(c -> c.at("/choices/0/text").asString()))
                .anyMatch(String::isEmpty)
                .allMatch(t -> t.codePoints().noneMatch(c -> c >= 0xd800 && c < 0xe000));
        assertThat(joined(chunks.subList(0, chunks.size() - 1), "/choices/0/text"))
                .doesNotContain("\ufffd")
                .matches(t -> t.codePoints().anyMatch(c -> c > 0x7f));
    }

    private static List<Integer> ids(String text) throws Exception {
        List<Integer> ids = new ArrayList<>();
        client.post(
                        "/tokenize",
                        Client.JSON.createObjectNode().put("prompt", text).put("add_special_tokens", false))
                .at("/tokens")
                .forEach(n -> ids.add(n.asInt()));
        return ids;
    }

    @Test
    void stopStringsCutExactlyAndNeverLeak() throws Exception {
        double aborted = finished("abort");
        double stopped = finished("stop");
        String all = text(post(greedy(PROMPT, 32)));
        for (int from : new int[] {3, 9, all.length() / 2}) {
            String stop = all.substring(from, from + 5);
            String expected = all.substring(0, all.indexOf(stop));
            ObjectNode body = greedy(PROMPT, 32).put("stop", stop);
            JsonNode whole = post(body);
            assertThat(text(whole)).isEqualTo(expected);
            assertThat(whole.at("/choices/0/finish_reason").asString()).isEqualTo("stop");
            assertThat(whole.at("/choices/0/stop_reason").asString()).isEqualTo(stop);
            List<JsonNode> chunks = stream(COMPLETIONS, body.deepCopy());
            assertThat(joined(chunks, "/choices/0/text")).isEqualTo(expected);
            assertThat(chunks.getLast().at("/choices/0/stop_reason").asString()).isEqualTo(stop);
            assertThat(text(post(body.put("include_stop_str_in_output", true)))).isEqualTo(expected + stop);
        }
        String never = all.substring(all.length() - 4) + "\u0001never";
        List<JsonNode> chunks = stream(COMPLETIONS, greedy(PROMPT, 32).put("stop", never));
        assertThat(joined(chunks, "/choices/0/text"))
                .as("what was held back is given at the end")
                .isEqualTo(all);
        assertThat(chunks.getLast().at("/choices/0/stop_reason").isNull()).isTrue();
        assertThat(finished("abort")).as("counted as aborted").isEqualTo(aborted);
        assertThat(finished("stop")).isGreaterThan(stopped);
    }

    private static double finished(String reason) throws Exception {
        return client.get("/metrics")
                .lines()
                .filter(line -> line.startsWith("vllm:request_success_total{")
                        && line.contains("finished_reason=\"" + reason + "\""))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
                .sum();
    }

    @Test
    void echoAndLogprobsLineUp() throws Exception {
        ObjectNode body = greedy(PROMPT, 3).put("echo", true).put("logprobs", 2);
        JsonNode choice = post(body).at("/choices/0");
        String text = choice.at("/text").asString();
        assertThat(text).startsWith(PROMPT);
        JsonNode logprobs = choice.at("/logprobs");
        assertThat(logprobs.at("/tokens")).hasSize(8);
        assertThat(logprobs.at("/token_logprobs/0").isNull()).isTrue();
        assertThat(logprobs.at("/top_logprobs/0").isNull()).isTrue();
        for (int i = 0; i < 8; i++) {
            String token = logprobs.at("/tokens/" + i).asString();
            assertThat(text.startsWith(token, logprobs.at("/text_offset/" + i).asInt()))
                    .as(token)
                    .isTrue();
            if (i > 0) {
                assertThat(logprobs.at("/token_logprobs/" + i).asDouble()).isNegative();
                assertThat(logprobs.at("/top_logprobs/" + i).size()).isBetween(2, 3);
            }
        }
        for (int i = 5; i < 8; i++) {
            String token = logprobs.at("/tokens/" + i).asString();
            double best = logprobs.at("/top_logprobs/" + i)
                    .valueStream()
                    .mapToDouble(JsonNode::asDouble)
                    .max()
                    .orElse(1);
            assertThat(logprobs.at("/token_logprobs/" + i).asDouble())
                    .as("greedy takes the best: " + token)
                    .isEqualTo(best);
        }
        JsonNode scored =
                post(greedy(PROMPT, 0).put("echo", true).put("logprobs", 2)).at("/choices/0");
        assertThat(scored.at("/text").asString()).isEqualTo(PROMPT);
        assertThat(scored.at("/logprobs/token_logprobs")).hasSize(5);
        for (int i = 1; i < 5; i++) {
            assertThat(scored.at("/logprobs/token_logprobs/" + i)).isEqualTo(logprobs.at("/token_logprobs/" + i));
        }
        List<JsonNode> chunks = stream(COMPLETIONS, body);
        assertThat(joined(chunks, "/choices/0/text")).isEqualTo(text);
        List<JsonNode> offsets = chunks.stream()
                .flatMap(c -> c.at("/choices/0/logprobs/text_offset").valueStream())
                .toList();
        assertThat(offsets).isEqualTo(logprobs.at("/text_offset").valueStream().toList());
    }

    @Test
    void chatLogprobsCarryBytesAndAlternatives() throws Exception {
        JsonNode choice = client.post(
                        CHAT, chat("Say hello.", 4).put("logprobs", true).put("top_logprobs", 3))
                .at("/choices/0");
        StringBuilder told = new StringBuilder();
        for (JsonNode token : choice.at("/logprobs/content")) {
            byte[] bytes = new byte[token.at("/bytes").size()];
            for (int i = 0; i < bytes.length; i++) {
                bytes[i] = (byte) token.at("/bytes/" + i).asInt();
            }
            told.append(new String(bytes, StandardCharsets.UTF_8));
            assertThat(token.at("/top_logprobs")).hasSize(3);
            assertThat(token.at("/top_logprobs/0/logprob").asDouble())
                    .isEqualTo(token.at("/logprob").asDouble());
        }
        assertThat(told.toString())
                .startsWith(choice.at("/message/content").asString())
                .isNotEmpty();
    }

    @Test
    void seedsReproduceAndDiffer() throws Exception {
        ObjectNode body = Client.completion(PROMPT, 16).put("temperature", 1.5).put("ignore_eos", true);
        String first = text(post(body.put("seed", 42)));
        assertThat(text(post(body))).isEqualTo(first);
        assertThat(joined(stream(COMPLETIONS, body.deepCopy()), "/choices/0/text"))
                .isEqualTo(first);
        assertThat(text(post(body.put("seed", 43)))).isNotEqualTo(first);
        JsonNode several = post(body.put("seed", 42).put("n", 2));
        assertThat(several.at("/choices/0/text")).isNotEqualTo(several.at("/choices/1/text"));
    }

    @Test
    void biasForcesAndForbidsTokens() throws Exception {
        int id = ids(" banana").getFirst();
        ObjectNode body = greedy(PROMPT, 4).put("return_token_ids", true);
        body.putObject("logit_bias").put(Integer.toString(id), 100);
        assertThat(post(body).at("/choices/0/token_ids").valueStream().map(JsonNode::asInt))
                .containsOnly(id);
        int usual = post(greedy(PROMPT, 1).put("return_token_ids", true))
                .at("/choices/0/token_ids/0")
                .asInt();
        body.putObject("logit_bias").put(Integer.toString(usual), -100);
        assertThat(post(body).at("/choices/0/token_ids").valueStream().map(JsonNode::asInt))
                .doesNotContain(usual);
    }

    @Test
    void stopTokensEndWithTheirIdAndNotBeforeTheLeastLength() throws Exception {
        List<Integer> usual = post(greedy(PROMPT, 8).put("return_token_ids", true))
                .at("/choices/0/token_ids")
                .valueStream()
                .map(JsonNode::asInt)
                .toList();
        ObjectNode body = greedy(PROMPT, 8).put("return_token_ids", true);
        body.putArray("stop_token_ids").add(usual.get(2));
        JsonNode choice = post(body).at("/choices/0");
        assertThat(choice.at("/finish_reason").asString()).isEqualTo("stop");
        assertThat(choice.at("/stop_reason").asInt()).isEqualTo(usual.get(2));
        assertThat(choice.at("/token_ids").size()).isEqualTo(usual.indexOf(usual.get(2)) + 1);
        JsonNode longer = post(body.put("min_tokens", 6)).at("/choices/0");
        assertThat(longer.at("/token_ids").size()).isGreaterThanOrEqualTo(6);
    }

    @Test
    void theModelsEndTokenEndsUnlessItIsIgnored() throws Exception {
        ObjectNode body = greedy(PROMPT, 10).put("ignore_eos", false);
        int eos = ids("<|im_end|>").getFirst();
        body.putObject("logit_bias").put(Integer.toString(eos), 100);
        JsonNode ended = post(body);
        assertThat(ended.at("/choices/0/finish_reason").asString()).isEqualTo("stop");
        assertThat(ended.at("/choices/0/stop_reason").isNull()).isTrue();
        assertThat(text(ended)).isEmpty();
        JsonNode least = post(body.deepCopy().put("min_tokens", 4));
        assertThat(least.at("/usage/completion_tokens").asInt()).isEqualTo(5);
        JsonNode ignored = post(body.put("ignore_eos", true));
        assertThat(ignored.at("/choices/0/finish_reason").asString()).isEqualTo("length");
        assertThat(ignored.at("/usage/completion_tokens").asInt()).isEqualTo(10);
        assertThat(text(ignored)).as("special tokens are no text").isEmpty();
        assertThat(text(post(body.put("skip_special_tokens", false)))).startsWith("<|im_end|><|im_end|>");
    }

    @Test
    void penaltiesKeepTextFromRepeating() throws Exception {
        String loop = "one two one two one two one two one two one two";
        ObjectNode body = greedy(loop, 24).put("return_token_ids", true);
        long usual = distinct(body);
        assertThat(distinct(body.deepCopy().put("repetition_penalty", 1.8))).isGreaterThan(usual);
        assertThat(distinct(body.deepCopy().put("frequency_penalty", 2))).isGreaterThan(usual);
        assertThat(distinct(body.deepCopy().put("presence_penalty", 2))).isGreaterThan(usual);
    }

    private static long distinct(ObjectNode body) throws Exception {
        return post(body).at("/choices/0/token_ids").valueStream().distinct().count();
    }

    @Test
    void promptsInOneBodyAnswerInOrderAsAlone() throws Exception {
        ObjectNode body = greedy("", 6);
        List<String> prompts = List.of("The sun", "A river", "My house");
        prompts.forEach(body.putArray("prompt")::add);
        JsonNode many = post(body);
        List<String> alone = new ArrayList<>();
        for (String prompt : prompts) {
            alone.add(text(post(greedy(prompt, 6))));
        }
        assertThat(Stream.of(0, 1, 2)
                        .map(i -> many.at("/choices/" + i + "/text").asString())
                        .toList())
                .isEqualTo(alone);
        assertThat(many.at("/usage/completion_tokens").asInt()).isEqualTo(18);
    }
}
