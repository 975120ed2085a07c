package dev.quire.bench;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * One start of this build's server, from the command to its first answer.
 *
 * @param listening seconds until the port was open
 * @param answered seconds until a completion of one token had been answered
 * @param processor seconds that the server's threads had run by then
 */
record ColdStart(double listening, double answered, double processor) {
    private static final Duration LIMIT = Duration.ofMinutes(2);
    private static final Duration PAUSE = Duration.ofMillis(5);

    /** Starts a server, waits for its first answer, and stops it. */
    static ColdStart measure(List<String> flags) throws IOException, InterruptedException {
        int port = OwnServer.freePort();
        List<String> command = new ArrayList<>(
                List.of(OwnServer.home().resolve("quire").toString(), "serve", "--port", Integer.toString(port)));
        command.addAll(flags);
        Path log = Files.createTempFile("quire-bench-start", ".log");
        long begin = System.nanoTime();
        Process server = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        try {
            double listening = secondsUntil(() -> connects(port), begin, server, log);
            double answered = secondsUntil(() -> answers(port), begin, server, log);
            Duration processor = server.toHandle().info().totalCpuDuration().orElse(Duration.ZERO);
            return new ColdStart(listening, answered, processor.toNanos() / 1e9);
        } finally {
            stop(server);
            Files.deleteIfExists(log);
        }
    }

    private interface Condition {
        boolean holds();
    }

    private static double secondsUntil(Condition condition, long begin, Process server, Path log)
            throws IOException, InterruptedException {
        while (!condition.holds()) {
            if (server.waitFor(PAUSE.toMillis(), TimeUnit.MILLISECONDS)) {
                throw new IOException(
                        "the server ended with code " + server.exitValue() + ":\n" + Files.readString(log));
            }
            if (System.nanoTime() - begin > LIMIT.toNanos()) {
                throw new IOException("no answer after " + LIMIT.toSeconds() + " s:\n" + Files.readString(log));
            }
        }
        return (System.nanoTime() - begin) / 1e9;
    }

    private static boolean connects(int port) {
        try (Socket _ = new Socket(InetAddress.getLoopbackAddress(), port)) {
            return true;
        } catch (IOException e) {
            return false; // not yet
        }
    }

    private static boolean answers(int port) {
        String body = "{\"prompt\":\"Once\",\"max_tokens\":1}";
        String request = "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                + "Connection: close\r\nContent-Length: " + body.length() + "\r\n\r\n" + body;
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.setSoTimeout((int) LIMIT.toMillis());
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            InputStream in = socket.getInputStream();
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).startsWith("HTTP/1.1 200");
        } catch (IOException e) {
            return false; // cut off: asked again, until the time is up
        }
    }

    private static void stop(Process server) throws InterruptedException {
        server.destroy();
        if (!server.waitFor(10, TimeUnit.SECONDS)) {
            server.destroyForcibly().waitFor();
        }
    }
}
