package dev.quire.server.http;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The edge against a socket that does what no well-behaved client does. */
class HttpEdgeTest {
    private static final ErrorBodies ERRORS = (status, message) -> ("{\"error\":{\"code\":" + status + ",\"message\":\""
                    + message.replace("\"", "'") + "\"}}")
            .getBytes(StandardCharsets.UTF_8);

    private final AtomicInteger served = new AtomicInteger();
    private final CountDownLatch left = new CountDownLatch(1);
    private final CountDownLatch waiting = new CountDownLatch(1);
    private final CountDownLatch go = new CountDownLatch(1);
    private final BlockingQueue<HttpObserver.Finished> finished = new LinkedBlockingQueue<>();
    private HttpServer server = start(List.of());

    private HttpServer start(List<String> keys) {
        HttpOptions options = new HttpOptions(
                "127.0.0.1",
                0,
                "/prefix",
                keys,
                100_000,
                100,
                Duration.ofMillis(500),
                Duration.ofMillis(500),
                Duration.ofMillis(800),
                Duration.ofSeconds(2),
                Duration.ofMillis(100));
        HttpObserver observer = new HttpObserver() {

            @Override
            public void finished(Finished event) {
                finished.add(event);
            }
        };
        try {
            return HttpServer.start(options, new Router(routes(), ERRORS, observer));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private List<Route> routes() {
        return List.of(
                Route.open("GET", "/open", x -> x.reply(Reply.text(200, "open"))),
                Route.guarded("POST", "/echo", x -> {
                    served.incrementAndGet();
                    x.reply(new Reply(200, "text/plain", x.body(), Map.of()));
                }),
                Route.guarded("GET", "/number/*", x -> {
                    served.incrementAndGet();
                    x.reply(Reply.text(200, x.tail()));
                }),
                Route.guarded("POST", "/wait", this::waits),
                Route.guarded("GET", "/quiet", this::quiet),
                Route.guarded("GET", "/broken", x -> {
                    throw new IllegalStateException("secret /path/of/the/machine");
                }));
    }

    private void waits(Exchange x) throws InterruptedException {
        x.onDisconnect(left::countDown);
        waiting.countDown();
        go.await();
        x.reply(Reply.text(200, "waited"));
    }

    private void quiet(Exchange x) throws InterruptedException {
        SseStream out = x.sse();
        x.onDisconnect(left::countDown);
        waiting.countDown();
        go.await();
        out.send(new Repeated("end".getBytes(StandardCharsets.UTF_8), 1));
    }

    @BeforeEach
    void nothingServedYet() {
        assertThat(served).hasValue(0);
    }

    @AfterEach
    void stop() {
        go.countDown();
        server.close();
    }

    static Stream<Arguments> smuggled() {
        String body = "\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        String post = "POST /echo HTTP/1.1\r\nHost: x\r\n";
        return Stream.of(
                Arguments.of("length and chunks", post + "Content-Length: 5\r\nTransfer-Encoding: chunked" + body),
                Arguments.of("chunks and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 5" + body),
                Arguments.of("two lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
                Arguments.of("two equal lengths", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
                Arguments.of("a list of lengths", post + "Content-Length: 5, 5\r\n\r\nhello"),
                Arguments.of("a signed length", post + "Content-Length: +5\r\n\r\nhello"),
                Arguments.of("a negative length", post + "Content-Length: -5\r\n\r\nhello"),
                Arguments.of("a hexadecimal length", post + "Content-Length: 0x5\r\n\r\nhello"),
                Arguments.of("an enormous length", post + "Content-Length: 99999999999999999999\r\n\r\nhello"),
                Arguments.of("chunked twice", post + "Transfer-Encoding: chunked, chunked" + body),
                Arguments.of(
                        "chunked in two headers",
                        post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" + body),
                Arguments.of("identity and chunked", post + "Transfer-Encoding: identity, chunked" + body),
                Arguments.of("an unknown coding", post + "Transfer-Encoding: xchunked" + body),
                Arguments.of("gzip and chunked", post + "Transfer-Encoding: gzip, chunked" + body),
                Arguments.of("a blank before the colon", post + "Transfer-Encoding : chunked" + body),
                Arguments.of("a vertical tab in the coding", post + "Transfer-Encoding: \u000bchunked" + body),
                Arguments.of("chunks in HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked" + body),
                Arguments.of("a folded header", post + "X-A: 1\r\n 2\r\nContent-Length: 5\r\n\r\nhello"),
                Arguments.of("a folded coding", post + "Transfer-Encoding:\r\n chunked" + body),
                Arguments.of("a header that begins with a blank", "POST /echo HTTP/1.1\r\n Host: x\r\n\r\n"),
                Arguments.of("NUL in a header", post + "X-A: a\u0000b\r\nContent-Length: 5\r\n\r\nhello"),
                Arguments.of("NUL in the path", "GET /number/%00 HTTP/1.1\r\nHost: x\r\n\r\n"),
                Arguments.of("a bare line feed", "POST /echo HTTP/1.1\nHost: x\nContent-Length: 5\n\nhello"),
                Arguments.of("one bare line feed", post + "X-A: 1\nContent-Length: 5\r\n\r\nhello"),
                Arguments.of("a bare carriage return", post + "X-A: 1\rX-B: 2\r\nContent-Length: 5\r\n\r\nhello"),
                Arguments.of("no colon", post + "Nonsense\r\n\r\n"),
                Arguments.of("an empty name", post + ": value\r\n\r\n"),
                Arguments.of("no host", "GET /open HTTP/1.1\r\n\r\n"),
                Arguments.of("two hosts", "GET /open HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
                Arguments.of("a bad escape", "GET /number/%zz HTTP/1.1\r\nHost: x\r\n\r\n"),
                Arguments.of("bytes that are not UTF-8", "GET /number/%ff HTTP/1.1\r\nHost: x\r\n\r\n"),
                Arguments.of("no version", "GET /open\r\nHost: x\r\n\r\n"),
                Arguments.of("a target without slash", "GET open HTTP/1.1\r\nHost: x\r\n\r\n"),
                Arguments.of("garbage", "\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n"),
                Arguments.of(
                        "a chunk size that is not one",
                        post + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"),
                Arguments.of(
                        "a negative chunk size", post + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n"),
                Arguments.of(
                        "a chunk without its end", post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("smuggled")
    void ambiguousRequestsGetOne400AndTheConnectionCloses(String what, String bytes) throws IOException {
        try (RawClient client = new RawClient(server.port())) {
            client.send(bytes + "GET /number/2 HTTP/1.1\r\nHost: x\r\n\r\n");
            assertThat(client.answer().status()).as(what).isEqualTo(400);
            assertThat(client.closed()).as("closed without a second answer").isTrue();
        }
        assertThat(served).hasValue(0);
    }

    @Test
    void longUrlsHeadersAndBodiesAreRefusedByName() throws IOException {
        try (RawClient client = new RawClient(server.port())) {
            client.get("/number/" + "x".repeat(9000));
            assertThat(client.answer().status()).isEqualTo(414);
            assertThat(client.closed()).isTrue();
        }
        try (RawClient client = new RawClient(server.port())) {
            client.send("GET /open HTTP/1.1\r\nHost: x\r\nX-A: " + "y".repeat(20_000) + "\r\n\r\n");
            assertThat(client.answer().status()).isEqualTo(431);
            assertThat(client.closed()).isTrue();
        }
        try (RawClient client = new RawClient(server.port())) {
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n");
            client.send("z".repeat(100_001));
            assertThat(client.answer().status()).isEqualTo(413);
            assertThat(client.closed()).isTrue();
        }
        try (RawClient client = new RawClient(server.port())) {
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            client.send("10000\r\n" + "z".repeat(65_536) + "\r\n10000\r\n" + "z".repeat(65_536) + "\r\n0\r\n\r\n");
            assertThat(client.answer().status()).isEqualTo(413);
            assertThat(client.closed()).isTrue();
        }
        assertThat(served).hasValue(0);
        assertThat(server.budget().left()).as("nothing is still charged").isGreaterThanOrEqualTo(64L << 20);
    }

    @Test
    void a413ArrivesEvenThoughTheClientIsStillSending() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n");
            Thread sender = Thread.ofVirtual().start(() -> {
                try {
                    for (int i = 0; i < 50; i++) {
                        client.send("z".repeat(100_000));
                    }
                } catch (IOException e) {
                    // The server closes after a while: that is what is tested.
                }
            });
            assertThat(client.answer().status()).isEqualTo(413);
            sender.join();
        }
    }

    @Test
    void compressedBodiesAndUnknownExpectationsAreRefused() throws IOException {
        try (RawClient client = new RawClient(server.port())) {
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab");
            assertThat(client.answer().status()).isEqualTo(415);
            client.get("/number/1");
            assertThat(client.answer().body())
                    .as("a short refused body costs no connection")
                    .isEqualTo("1");
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\nab");
            assertThat(client.answer().status()).isEqualTo(417);
        }
    }

    @Test
    void expectContinueIsAnsweredBeforeTheBodyAndOnlyWhenItIsWelcome() throws IOException {
        try (RawClient client = new RawClient(server.port())) {
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
            assertThat(client.any().status()).isEqualTo(100);
            client.send("hi");
            assertThat(client.any().body()).isEqualTo("hi");
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n\r\n");
            assertThat(client.any().status()).isEqualTo(413);
        }
    }

    @Test
    void aClientThatLeavesAfterPipeliningIsNoticed() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            client.send("GET /open HTTP/1.1\r\nHost: x\r\n\r\nPOST /wait HTTP/1.1\r\nHost: x\r\n"
                    + "Content-Length: 2\r\n\r\n{}");
            assertThat(client.answer().status()).isEqualTo(200);
            assertThat(waiting.await(5, TimeUnit.SECONDS)).isTrue();
        }
        assertThat(left.await(1, TimeUnit.SECONDS))
                .as("noticed within a second")
                .isTrue();
    }

    @Test
    void aPipelinedRequestThatExpectsContinueIsToldSoInItsTurn() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            client.get("/quiet");
            assertThat(client.head()).isEqualTo(200);
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
            Thread.sleep(100); // time for a wrong interim answer to get into the stream
            go.countDown();
            String line = client.line();
            while (!line.equals("0")) {
                assertThat(line).doesNotContain("100");
                line = client.line();
            }
            assertThat(client.line()).isEmpty();
            assertThat(client.any().status()).isEqualTo(100);
            client.send("hi");
            assertThat(client.answer().body()).isEqualTo("hi");
        }
    }

    @Test
    void aBodyThatTricklesIsNotWaitedForForEver() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
            long began = System.nanoTime();
            try {
                while (System.nanoTime() - began < 5_000_000_000L
                        && client.socket().getInputStream().available() == 0) {
                    client.send("x");
                    Thread.sleep(100);
                }
            } catch (java.net.SocketException _) {
                // Closed while more was sent: as good as an answer.
            }
            assertThat(System.nanoTime() - began).isLessThan(3_000_000_000L);
        }
    }

    @Test
    void pipelinedRequestsAreAnsweredInOrder() throws IOException {
        StringBuilder many = new StringBuilder();
        for (int i = 0; i < 500; i++) {
            many.append("GET /number/").append(i).append(" HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        try (RawClient client = new RawClient(server.port())) {
            client.send(many.toString());
            for (int i = 0; i < 500; i++) {
                assertThat(client.answer().body()).isEqualTo(Integer.toString(i));
            }
        }
    }

    @Test
    void anEarlierAnswerIsNotOvertakenByALaterRefusal() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            client.send(
                    "POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\nBAD\r\n\r\n");
            assertThat(waiting.await(5, TimeUnit.SECONDS)).isTrue();
            go.countDown();
            assertThat(client.answer().body()).isEqualTo("waited");
            assertThat(client.answer().status()).isEqualTo(404);
            assertThat(client.answer().status()).isEqualTo(400);
            assertThat(client.closed()).isTrue();
        }
    }

    @Test
    void aBodyOfARefusedRequestIsNeverReadAsARequest() throws IOException {
        String inner = "GET /number/7 HTTP/1.1\r\nHost: x\r\n\r\n";
        try (RawClient client = new RawClient(server.port())) {
            client.send("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: " + inner.length() + "\r\n\r\n" + inner);
            assertThat(client.answer().status()).isEqualTo(404);
            client.get("/number/8");
            assertThat(client.answer().body()).isEqualTo("8");
        }
        assertThat(served).hasValue(1);
    }

    @Test
    void slowHeadersAndBodiesTimeOut() throws IOException {
        try (RawClient client = new RawClient(server.port())) {
            client.send("GET /open HTT");
            assertThat(client.answer().status()).isEqualTo(408);
            assertThat(client.closed()).isTrue();
        }
        try (RawClient client = new RawClient(server.port())) {
            client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
            assertThat(client.answer().status()).isEqualTo(408);
            assertThat(client.closed()).isTrue();
        }
        try (RawClient client = new RawClient(server.port())) {
            assertThat(client.closed()).as("a silent connection").isTrue();
        }
        try (RawClient client = new RawClient(server.port())) {
            client.get("/open");
            assertThat(client.answer().status()).isEqualTo(200);
            assertThat(client.closed()).as("an idle connection").isTrue();
        }
    }

    @Test
    void unknownPathsAndMethodsSayWhatThereIs() throws IOException {
        try (RawClient client = new RawClient(server.port())) {
            client.get("/nowhere");
            assertThat(client.answer().body()).contains("404").contains("/nowhere");
            client.get("/echo");
            RawClient.Answer answer = client.answer();
            assertThat(answer.status()).isEqualTo(405);
            assertThat(answer.headers()).containsEntry("Allow", "POST");
            client.get("/prefix/open");
            assertThat(client.answer().body()).isEqualTo("open");
            client.get("/prefixopen");
            assertThat(client.answer().status()).isEqualTo(404);
            client.get("/number/a%2Fb/c");
            assertThat(client.answer().body()).isEqualTo("a/b/c");
            client.send("HEAD /open HTTP/1.1\r\nHost: x\r\n\r\n").get("/number/1");
            assertThat(client.head()).isEqualTo(200);
            assertThat(client.answer().body()).isEqualTo("1");
        }
    }

    @Test
    void aFaultOfAnEndpointIsA500WithoutItsText() throws IOException {
        try (RawClient client = new RawClient(server.port())) {
            client.get("/broken");
            RawClient.Answer answer = client.answer();
            assertThat(answer.status()).isEqualTo(500);
            assertThat(answer.body()).doesNotContain("secret");
            client.get("/open");
            assertThat(client.answer().status()).isEqualTo(200);
        }
    }

    @Test
    void requestIdsAreEchoedOrMade() throws IOException {
        try (RawClient client = new RawClient(server.port())) {
            client.send("GET /open HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine-1\r\n\r\n");
            RawClient.Answer answer = client.answer();
            assertThat(answer.headers()).containsEntry("X-Request-Id", "mine-1").containsKey("openai-processing-ms");
            client.send("GET /open HTTP/1.1\r\nHost: x\r\nX-Request-Id: " + "a".repeat(129) + "\r\n\r\n");
            assertThat(client.answer().headers().get("X-Request-Id")).hasSize(32);
        }
    }

    @Test
    void withKeysNothingButTheOpenRoutesAnswersWithoutOne() throws IOException {
        server.close();
        server = start(List.of("alpha", "beta"));
        try (RawClient client = new RawClient(server.port())) {
            client.get("/open");
            assertThat(client.answer().status()).isEqualTo(200);
            for (String path : List.of("/number/1", "/echo", "/nowhere", "/prefix/number/1", "/open/../number/1")) {
                client.get(path);
                RawClient.Answer answer = client.answer();
                assertThat(answer.status()).as(path).isEqualTo(401);
                assertThat(answer.headers()).containsEntry("WWW-Authenticate", "Bearer");
            }
            for (String header :
                    List.of("Authorization: bearer beta", "Authorization: Bearer alpha", "x-api-key: beta")) {
                client.send("GET /number/1 HTTP/1.1\r\nHost: x\r\n" + header + "\r\n\r\n");
                assertThat(client.answer().status()).as(header).isEqualTo(200);
            }
            for (String header :
                    List.of("Authorization: Bearer gamma", "Authorization: Basic beta", "Authorization: beta")) {
                client.send("GET /number/1 HTTP/1.1\r\nHost: x\r\n" + header + "\r\n\r\n");
                assertThat(client.answer().status()).as(header).isEqualTo(401);
            }
        }
    }

    @Test
    void aClientThatClosesIsNoticedBeforeItsAnswerIsReady() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            client.post("/wait", "{}");
            assertThat(waiting.await(5, TimeUnit.SECONDS)).isTrue();
        }
        assertThat(left.await(1, TimeUnit.SECONDS))
                .as("noticed within a second")
                .isTrue();
        assertThat(finished.poll(1, TimeUnit.SECONDS)).isNotNull().matches(f -> f.status() == 499);
    }

    @Test
    void aClientThatClosesAQuietStreamIsNoticed() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            client.get("/quiet");
            assertThat(waiting.await(5, TimeUnit.SECONDS)).isTrue();
            assertThat(client.head()).isEqualTo(200);
        }
        assertThat(left.await(1, TimeUnit.SECONDS))
                .as("noticed within a second")
                .isTrue();
    }

    @Test
    void aHalfClosedConnectionStillGetsItsAnswer() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            client.post("/wait", "{}");
            client.socket().shutdownOutput();
            assertThat(waiting.await(5, TimeUnit.SECONDS)).isTrue();
            assertThat(left.await(500, TimeUnit.MILLISECONDS))
                    .as("taken for gone")
                    .isFalse();
            go.countDown();
            assertThat(client.answer().body()).isEqualTo("waited");
            assertThat(client.closed()).isTrue();
        }
    }

    @Test
    void aQuietStreamSaysThatItIsAlive() throws Exception {
        try (RawClient client = new RawClient(server.port())) {
            client.get("/quiet");
            assertThat(client.head()).isEqualTo(200);
            client.line();
            assertThat(client.line()).isEqualTo(": keep-alive");
        }
    }

    @Test
    void http10StreamsEndWithTheConnection() throws Exception {
        go.countDown();
        try (RawClient client = new RawClient(server.port())) {
            client.send("GET /quiet HTTP/1.0\r\n\r\n");
            RawClient.Answer answer = client.answer();
            assertThat(answer.headers()).doesNotContainKey("Transfer-Encoding");
            assertThat(answer.body()).endsWith("data: end\n\n");
        }
    }
}
