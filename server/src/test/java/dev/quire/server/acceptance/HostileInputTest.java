package dev.quire.server.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.server.http.RawClient;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** JSON and prompts made to cost more than they should. */
@Tag("model")
class HostileInputTest {
    private static RunningServer server;
    private static Client client;

    @BeforeAll
    static void start() throws Exception {
        server = RunningServer.start("--max-model-len", "2048", "--kv-cache-memory-bytes", "64M");
        client = server.client();
        client.post("/v1/completions", Client.completion("warm", 2));
        post("/tokenize", "{\"prompt\":\"" + "warm up ".repeat(20_000) + "\"}");
    }

    @AfterAll
    static void stop() {
        client.close();
        server.close();
    }

    private record Timed(RawClient.Answer answer, Duration took) {}

    private static Timed post(String path, String json) throws IOException {
        long began = System.nanoTime();
        try (RawClient one = new RawClient(server.port())) {
            return new Timed(one.post(path, json).answer(), Duration.ofNanos(System.nanoTime() - began));
        }
    }

    @ParameterizedTest
    @CsvSource({"63, 200", "64, 400", "1000, 400", "100000, 400"})
    void nestingHasALimit(int depth, int status) throws Exception {
        String nested = "[".repeat(depth) + "]".repeat(depth);
        Timed timed = post("/tokenize", "{\"prompt\":\"x\",\"user\":" + nested + "}");
        assertThat(timed.answer().status()).as(timed.answer().body()).isEqualTo(status);
        assertThat(timed.answer().body()).hasSizeLessThan(4096);
    }

    @ParameterizedTest
    @CsvSource({"64, 200", "65, 400", "1000000, 400"})
    void numbersHaveALongestLength(int digits, int status) throws Exception {
        Timed timed = post("/tokenize", "{\"prompt\":\"x\",\"user\":" + "7".repeat(digits) + "}");
        assertThat(timed.answer().status()).isEqualTo(status);
        assertThat(timed.answer().body()).hasSizeLessThan(4096);
        assertThat(timed.took()).isLessThan(Duration.ofSeconds(1));
    }

    @Test
    void fourHundredThousandFieldsAreReadInTwoSeconds() throws Exception {
        String fields =
                IntStream.range(0, 400_000).mapToObj(i -> "\"k" + i + "\":1").collect(Collectors.joining(","));
        Timed timed = post("/tokenize", "{\"prompt\":\"x\"," + fields + "}");
        assertThat(timed.answer().status()).isEqualTo(200);
        assertThat(timed.took()).isLessThan(Duration.ofSeconds(2));
    }

    /** Every name has the same hash as a Java string. */
    @Test
    void fieldsWhoseHashesCollideAreReadInTwoSeconds() throws Exception {
        List<String> names = List.of("");
        for (int i = 0; i < 16; i++) {
            names = names.stream()
                    .flatMap(n -> List.of(n + "Aa", n + "BB").stream())
                    .toList();
        }
        assertThat(names.stream().map(String::hashCode).distinct()).hasSize(1);
        String fields = names.stream().map(n -> "\"" + n + "\":1").collect(Collectors.joining(","));
        Timed timed = post("/tokenize", "{\"prompt\":\"x\"," + fields + "}");
        assertThat(timed.answer().status()).as(timed.answer().body()).isEqualTo(200);
        assertThat(timed.took()).isLessThan(Duration.ofSeconds(2));
    }

    @ParameterizedTest
    @CsvSource({"'it was a dark night and '", "a", "' '", "\u00e9", "0", "!?"})
    void fourMebibytesOfPromptAreRefusedWithinASecond(String unit) throws Exception {
        String prompt = unit.repeat((4 << 20) / unit.length());
        Timed timed = post("/v1/completions", "{\"prompt\":\"" + prompt + "\"}");
        assertThat(timed.answer().status()).isEqualTo(400);
        assertThat(timed.answer().body()).contains("maximum context length is 2048");
        assertThat(timed.took()).isLessThan(Duration.ofSeconds(1));
    }

    @ParameterizedTest
    @CsvSource({"a", "' '", "0", "\u4e2d", "\\n", "'ab '"})
    void aMebibyteOfOneLetterIsTokenizedInTimeThatGrowsWithItsLength(String unit) throws Exception {
        Timed timed = post("/tokenize", "{\"prompt\":\"" + unit.repeat((1 << 20) / unit.length()) + "\"}");
        assertThat(timed.answer().status()).isEqualTo(200);
        assertThat(timed.took()).isLessThan(Duration.ofSeconds(4));
    }

    @Test
    void longPromptsDoNotHoldUpTheOthers() throws Exception {
        String refused = "{\"prompt\":\"" + "so it goes ".repeat((4 << 20) / 11) + "\"}";
        List<Duration> quiet = latencies(20);
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Integer>> attackers = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                attackers.add(threads.submit(() -> {
                    int last = 0;
                    for (int k = 0; k < 8; k++) {
                        last = post("/v1/completions", refused).answer().status();
                    }
                    return last;
                }));
            }
            List<Duration> busy = latencies(20);
            for (Future<Integer> attacker : attackers) {
                assertThat(attacker.get()).isEqualTo(400);
            }
            System.out.printf(
                    "a small request takes %d ms, beside long ones %d ms (p95)%n",
                    quiet.get(18).toMillis(), busy.get(18).toMillis());
            assertThat(busy.get(18)).isLessThan(quiet.get(18).multipliedBy(4).plusMillis(500));
        }
    }

    private static List<Duration> latencies(int requests) throws Exception {
        List<Duration> all = new ArrayList<>();
        for (int i = 0; i < requests; i++) {
            long began = System.nanoTime();
            client.post("/v1/completions", Client.completion("Hello", 2));
            all.add(Duration.ofNanos(System.nanoTime() - began));
        }
        return all.stream().sorted().toList();
    }
}
