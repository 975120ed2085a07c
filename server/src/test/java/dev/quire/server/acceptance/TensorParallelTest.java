package dev.quire.server.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Servers whose model is split over shares of the CPU's threads. */
class TensorParallelTest {
    private static final Path TINY = Path.of("../model/src/test/resources/tiny");

    /** The tiny models, with a tokenizer that writes each of their 128 tokens as two letters. */
    private static void withTokenizer(Path tiny, Path folder) throws IOException {
        for (String file : List.of("config.json", "model.safetensors")) {
            Files.copy(tiny.resolve(file), folder.resolve(file));
        }
        ObjectNode tokenizer = Client.JSON.createObjectNode();
        tokenizer.putObject("decoder").put("type", "ByteLevel");
        tokenizer.putObject("pre_tokenizer").put("type", "ByteLevel").put("add_prefix_space", false);
        ObjectNode model = tokenizer.putObject("model").put("type", "BPE");
        model.putArray("merges");
        ObjectNode vocabulary = model.putObject("vocab");
        for (int id = 0; id < 128; id++) {
            vocabulary.put(letters(id), id);
        }
        Files.writeString(folder.resolve("tokenizer.json"), tokenizer.toString());
    }

    private static String letters(int id) {
        return String.valueOf(new char[] {(char) ('A' + id / 16), (char) ('a' + id % 16)});
    }

    private static String letters(JsonNode ids) {
        StringBuilder text = new StringBuilder();
        ids.forEach(id -> text.append(letters(id.intValue())));
        return text.toString();
    }

    private static String text(Client client, ObjectNode request) throws IOException, InterruptedException {
        return client.post("/v1/completions", request)
                .path("choices")
                .path(0)
                .path("text")
                .stringValue();
    }

    private static List<String> allAtOnce(Client client, List<ObjectNode> requests) throws Exception {
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<String>> texts = new ArrayList<>();
            for (ObjectNode request : requests) {
                texts.add(threads.submit(() -> text(client, request)));
            }
            List<String> done = new ArrayList<>();
            for (Future<String> text : texts) {
                done.add(text.get());
            }
            return done;
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama-untied", "qwen2", "qwen3"})
    void twoRanksAnswerWithTheReferencesTokens(String name, @TempDir Path folder) throws Exception {
        withTokenizer(TINY.resolve(name), folder);
        List<ObjectNode> requests = new ArrayList<>();
        List<String> expected = new ArrayList<>();
        JsonNode golden = Client.JSON.readTree(TINY.resolve(name).resolve("golden.json"));
        for (JsonNode c : golden.path("cases")) {
            ObjectNode request = Client.completion("", c.path("greedy").size());
            request.put("temperature", 0).put("ignore_eos", true).set("prompt", (ArrayNode) c.path("prompt"));
            requests.add(request);
            expected.add(letters(c.path("greedy")));
        }
        try (RunningServer server = RunningServer.of(
                        folder.toString(), "--tensor-parallel-size", "2", "--device", "cpu", "--threads", "2");
                Client client = server.client()) {
            for (int i = 0; i < requests.size(); i++) {
                assertThat(text(client, requests.get(i))).isEqualTo(expected.get(i));
            }
            assertThat(allAtOnce(client, requests)).isEqualTo(expected);
            assertThat(client.metric("quire:tensor_parallel_size")).isEqualTo(2);
            client.awaitIdle();
        }
    }

    /**
     * Its 9 query and 3 key-value heads go into three. In high precision: 8-bit activations make differences of another
     * order of summation large enough to change a word.
     */
    @Test
    @Tag("model")
    void threeRanksOfTheDefaultModelAnswerAsOneDevice() throws Exception {
        List<ObjectNode> requests = new ArrayList<>();
        for (String prompt :
                List.of("The capital of France is", "Once upon a time", "def fibonacci(n):", "2, 4, 6, 8,")) {
            requests.add(Client.completion(prompt, 24).put("temperature", 0));
            requests.add(Client.completion(prompt, 16).put("temperature", 0.8).put("seed", 7));
        }
        List<String> whole;
        try (RunningServer server = RunningServer.start("--precision", "high");
                Client client = server.client()) {
            whole = allAtOnce(client, requests);
        }
        try (RunningServer server = RunningServer.start("--precision", "high", "--tensor-parallel-size", "3");
                Client client = server.client()) {
            assertThat(allAtOnce(client, requests)).isEqualTo(whole);
        }
    }

    @Test
    void aModelThatCannotBeSharedOutEndsTheStart(@TempDir Path folder) throws IOException {
        withTokenizer(TINY.resolve("llama-tied"), folder);
        Throwable failure = catchThrowable(() -> RunningServer.of(folder.toString(), "--tensor-parallel-size", "3")
                .close());
        assertThat(failure).hasStackTraceContaining("tensor-parallel-size is 3, but the model has 4 query heads");
    }
}
