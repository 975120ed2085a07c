package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The test is the server. */
class StreamCounterTest {
    private static final String REQUEST = "POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            + "Content-Length: 10\r\n\r\n{\"p\":\"é\"}";

    private final ServerSocket server = new ServerSocket(0, 2, InetAddress.getLoopbackAddress());
    private final StreamCounter counter = new StreamCounter("/v1/x", "{\"p\":\"é\"}");
    private final CompletableFuture<Void> end = new CompletableFuture<>();

    StreamCounterTest() throws IOException {}

    @AfterEach
    void stop() throws IOException {
        server.close();
    }

    private Socket connected() throws IOException {
        counter.open(server.getLocalPort());
        Socket connection = server.accept();
        connection.setSoTimeout(10_000);
        return connection;
    }

    private void start() {
        Thread.ofPlatform().daemon().name("streams").start(() -> {
            try {
                counter.run();
            } catch (IOException | RuntimeException e) {
                end.completeExceptionally(e);
            }
        });
    }

    private static void awaitRequest(Socket connection) throws IOException {
        InputStream in = connection.getInputStream();
        byte[] bytes = in.readNBytes(REQUEST.getBytes(StandardCharsets.UTF_8).length);
        assertThat(new String(bytes, StandardCharsets.UTF_8)).isEqualTo(REQUEST);
    }

    /** A stream with one event a token, as {@code SseStream} sends it, in pieces of so many bytes. */
    private static void stream(Socket connection, int events, int tokens, int piece) throws IOException {
        StringBuilder text = beginning(events);
        String usage = "{\"prompt_tokens\":90,\"completion_tokens\":" + tokens + ",\"total_tokens\":99}";
        chunk(text, "data: {\"choices\":[],\"usage\":" + usage + "}\n\ndata: [DONE]\n\n");
        send(connection, text.append("0\r\n\r\n"), piece);
    }

    private static StringBuilder beginning(int events) {
        StringBuilder text = new StringBuilder("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < events; i++) {
            chunk(text, "data: {\"choices\":[{\"delta\":{\"content\":\"é\"}}]}\n\n");
        }
        return text;
    }

    private static void send(Socket connection, StringBuilder text, int piece) throws IOException {
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        OutputStream out = connection.getOutputStream();
        for (int at = 0; at < bytes.length; at += piece) {
            out.write(bytes, at, Math.min(piece, bytes.length - at));
            out.flush();
        }
    }

    private static void chunk(StringBuilder text, String data) {
        int length = data.getBytes(StandardCharsets.UTF_8).length;
        text.append(Integer.toHexString(length)).append("\r\n").append(data).append("\r\n");
    }

    @Test
    void eventsAndTokensAreCountedHoweverTheyArriveAndEachEndBeginsAnotherStream() throws IOException {
        try (Socket one = connected();
                Socket two = connected()) {
            one.setTcpNoDelay(true);
            start();
            awaitRequest(one);
            stream(one, 3, 7, 1);
            awaitRequest(one);
            assertThat(counter.counts()).isEqualTo("3 7");
            stream(one, 40, 40, 10_000);
            awaitRequest(one);
            awaitRequest(two);
            stream(two, 0, 1, 16);
            awaitRequest(two);
            assertThat(counter.counts()).isEqualTo("43 48");
        }
    }

    /** Else a measurement would tell how many answers have ended in it, and not how many tokens came. */
    @Test
    void tokensCountBeforeTheirAnswerHasEnded() throws Exception {
        try (Socket connection = connected()) {
            start();
            awaitRequest(connection);
            send(connection, beginning(5), 1000);
            for (int i = 0; i < 1000 && !counter.counts().equals("5 5"); i++) {
                Thread.sleep(10);
            }
            assertThat(counter.counts()).isEqualTo("5 5");
        }
    }

    @Test
    void aConnectionThatTheServerClosesEndsTheCount() throws IOException {
        try (Socket connection = connected()) {
            start();
            awaitRequest(connection);
        }
        assertThat(end)
                .failsWithin(Duration.ofSeconds(10))
                .withThrowableThat()
                .withMessageContaining("the server closed a connection");
    }
}
