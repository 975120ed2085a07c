package dev.quire.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.scheduler.Refusal;
import dev.quire.server.http.RawClient;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Answers and streams against files: bytes on the wire, but for ids and times. */
class ApiShapesTest {
    private final ScriptedServer server = new ScriptedServer().ready();

    @AfterEach
    void nothingIsLeftRunning() {
        server.close();
        assertThat(server.texts.open).hasValue(0);
        assertThat(server.live.count()).isZero();
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            completion             | /v1/completions      | {"prompt":"hi","max_tokens":3}
            completion-echo        | /v1/completions      | {"model":"other","prompt":"hi","max_tokens":2,"echo":true,"logprobs":1}
            completion-score       | /v1/completions      | {"prompt":[104,105],"max_tokens":0,"echo":true,"logprobs":0}
            completion-many        | /v1/completions      | {"prompt":["x","yz"],"max_tokens":2,"n":2,"return_token_ids":true}
            completion-stream      | /v1/completions      | {"prompt":"hi","max_tokens":2,"stream":true}
            completion-stream-usage| /v1/completions      | {"prompt":"hi","max_tokens":2,"stream":true,"logprobs":1,"echo":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}
            chat                   | /v1/chat/completions | {"messages":[{"role":"user","content":"hi"}],"max_tokens":3}
            chat-logprobs          | /v1/chat/completions | {"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}],"max_completion_tokens":1,"logprobs":true,"top_logprobs":2}
            chat-stream            | /v1/chat/completions | {"messages":[{"role":"user","content":"hi"}],"max_tokens":2,"stream":true}
            chat-stream-usage      | /v1/chat/completions | {"messages":[{"role":"user","content":"hi"}],"max_tokens":1,"stream":true,"logprobs":true,"stream_options":{"include_usage":true}}
            tokenize               | /tokenize            | {"prompt":"hé","return_token_strs":true}
            tokenize-chat          | /tokenize            | {"messages":[{"role":"user","content":"x"}]}
            detokenize             | /detokenize          | {"tokens":[104,195,169]}
            """)
    void answersAreAsTheFilesSay(String name, String path, String json) throws IOException {
        RawClient.Answer answer = server.post(path, json);
        assertThat(answer.status()).as(answer.body()).isEqualTo(200);
        assertThat(masked(answer.body())).isEqualTo(golden(name));
    }

    @Test
    void modelsAreListedAndFoundByName() throws IOException {
        assertThat(server.get("/v1/models").body())
                .startsWith(
                        "{\"object\":\"list\",\"data\":[{\"id\":\"main/model\",\"object\":\"model\",\"created\":1700000000")
                .contains("\"id\":\"other\"")
                .contains("\"max_model_len\":256");
        assertThat(server.get("/v1/models/main/model").body()).startsWith("{\"id\":\"main/model\"");
        assertThat(server.get("/v1/models/main%2Fmodel").body()).startsWith("{\"id\":\"main/model\"");
        RawClient.Answer missing = server.get("/v1/models/none");
        assertThat(missing.status()).isEqualTo(404);
        assertThat(missing.body())
                .isEqualTo(
                        "{\"error\":{\"message\":\"The model `none` does not exist.\",\"type\":\"NotFoundError\",\"param\":\"model\",\"code\":404}}");
    }

    @Test
    void severalPromptsInterleaveAndEachChoiceEndsOnce() throws IOException {
        String body = server.post(
                        "/v1/completions", "{\"prompt\":[\"x\",\"y\"],\"n\":2,\"max_tokens\":5,\"stream\":true}")
                .body();
        for (int i = 0; i < 4; i++) {
            String index = "\"index\":" + i + ",";
            assertThat(body.lines().filter(l -> l.contains(index))).hasSize(5);
            assertThat(body.lines().filter(l -> l.contains(index) && l.contains("\"length\"")))
                    .hasSize(1);
        }
        assertThat(body).endsWith("data: [DONE]\n\n");
    }

    @Test
    void noEventLoopMakesTheEchoOfAPrompt() throws IOException {
        String stream = server.post(
                        "/v1/completions",
                        "{\"prompt\":[\"x\",\"yz\"],\"n\":2,\"max_tokens\":3,\"echo\":true,\"logprobs\":1,\"stream\":true}")
                .body();
        assertThat(stream.lines().filter(l -> l.contains("\"text\":\"yz"))).hasSize(2);
        server.post("/v1/completions", "{\"prompt\":\"x\",\"echo\":true,\"logprobs\":1}");
        assertThat(server.texts.scoreReaders).hasSize(2).allMatch(Thread::isVirtual);
    }

    @Test
    void aRequestThatIsRefusedIsRefusedAsAWholeBeforeTheStatusLine() throws IOException {
        server.texts.refusal = new Refusal(Refusal.Reason.OVERLOADED, "The queue is full.", 3);
        server.texts.refuseAfter = 2;
        RawClient.Answer answer = server.post("/v1/completions", "{\"prompt\":[\"a\",\"b\",\"c\"],\"stream\":true}");
        assertThat(answer.status()).isEqualTo(503);
        assertThat(answer.headers()).containsEntry("Retry-After", "3").containsEntry("retry-after-ms", "3000");
        assertThat(answer.body()).contains("ServiceUnavailableError").contains("The queue is full.");
        assertThat(server.texts.started).hasValue(2);
    }

    @Test
    void aFailureIsA500OrAnEventOfTheStream() throws IOException {
        server.texts.failAfter = 1;
        RawClient.Answer whole = server.post("/v1/completions", "{\"prompt\":\"a\"}");
        assertThat(whole.status()).isEqualTo(500);
        assertThat(whole.body()).contains("InternalServerError");
        RawClient.Answer stream = server.post("/v1/completions", "{\"prompt\":\"a\",\"stream\":true}");
        assertThat(stream.status()).isEqualTo(200);
        assertThat(stream.body())
                .endsWith(
                        "data: {\"error\":{\"message\":\"The step failed.\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}}\n\ndata: [DONE]\n\n");
    }

    @Test
    void aServerThatGoesDownTellsTheStreamsThatRun() throws Exception {
        server.texts.holdAfter = 1;
        try (RawClient client = new RawClient(server.http.port())) {
            client.post(
                    "/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true}");
            server.texts.someoneWaits.await();
            server.live.endAll();
            assertThat(client.answer().body()).contains("\"code\":503").endsWith("data: [DONE]\n\n");
        }
    }

    @Test
    void samplingFieldsReachTheEngine() throws IOException {
        server.post("/v1/completions", """
                {"prompt":"a","temperature":0.005,"top_p":0.5,"top_k":-1,"min_p":0.25,"seed":7,"presence_penalty":1,
                 "frequency_penalty":-2,"repetition_penalty":1.5,"stop":"END","stop_token_ids":[3],"min_tokens":2,
                 "max_tokens":4,"ignore_eos":true,"logit_bias":{"5":-200},"priority":9,"cache_salt":"s",
                 "include_stop_str_in_output":true,"skip_special_tokens":false,"user":"u","nobody_knows":{"x":[1]}}
                """);
        var request = server.texts.requests.element();
        assertThat(request.params().temperature()).isEqualTo(0.01f);
        assertThat(request.params().topP()).isEqualTo(0.5f);
        assertThat(request.params().topK()).isZero();
        assertThat(request.params().minP()).isEqualTo(0.25f);
        assertThat(request.params().seed()).isEqualTo(7);
        assertThat(request.params().presencePenalty()).isEqualTo(1);
        assertThat(request.params().frequencyPenalty()).isEqualTo(-2);
        assertThat(request.params().repetitionPenalty()).isEqualTo(1.5f);
        assertThat(request.params().biasTokens()).containsExactly(5);
        assertThat(request.params().biasValues()).containsExactly(-100);
        assertThat(request.stop()).containsExactly("END");
        assertThat(request.stopTokenIds()).containsExactly(3);
        assertThat(request.minTokens()).isEqualTo(2);
        assertThat(request.maxTokens()).isEqualTo(4);
        assertThat(request.ignoreEos()).isTrue();
        assertThat(request.includeStop()).isTrue();
        assertThat(request.skipSpecialTokens()).isFalse();
        assertThat(request.priority()).isEqualTo(9);
        assertThat(request.cacheSalt()).isEqualTo("s");
    }

    @Test
    void chatTakesWhatIsLeftOfTheContextAndItsDeveloperRole() throws IOException {
        server.post("/v1/chat/completions", "{\"messages\":[{\"role\":\"developer\",\"content\":\"be\"}]}");
        var request = server.texts.requests.element();
        assertThat(new String(request.prompt(), 0, request.prompt().length)).isEqualTo("<system>be<assistant>");
        assertThat(request.maxTokens()).isEqualTo(ScriptedServer.CONTEXT - request.prompt().length);
    }

    @Test
    void theLastMessageCanBeGoneOnWith() throws IOException {
        String body = server.post(
                        "/v1/chat/completions",
                        "{\"messages\":[{\"role\":\"assistant\",\"content\":\"once \"}],\"continue_final_message\":true,\"echo\":true,\"max_tokens\":2}")
                .body();
        var request = server.texts.requests.element();
        assertThat(new String(request.prompt(), 0, request.prompt().length)).isEqualTo("<assistant>once");
        assertThat(body).contains("\"content\":\"once ab\"");
    }

    private static String masked(String body) {
        return body.replaceAll("(cmpl-)[0-9a-f]{32}", "$1ID").replaceAll("\"created\":\\d+", "\"created\":0");
    }

    private static String golden(String name) throws IOException {
        try (InputStream in = ApiShapesTest.class.getResourceAsStream("/wire/" + name + ".txt")) {
            assertThat(in).as("file wire/" + name + ".txt").isNotNull();
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
