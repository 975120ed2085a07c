package dev.quire.server;

import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A whole life of a server in a few seconds: start, two requests, end. The launcher runs it once per build with a JVM
 * that keeps what it learnt (its AOT cache), so that later starts load classes that are parsed and linked already.
 */
public final class Rehearsal {
    private static final Duration LIMIT = Duration.ofMinutes(2);

    private Rehearsal() {}

    /** Serves with these flags on a free port, asks it as clients do, and ends the process. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        int port = freePort();
        List<String> command = new ArrayList<>(List.of("serve"));
        command.addAll(List.of(arguments));
        command.addAll(List.of("--host", "127.0.0.1", "--port", Integer.toString(port)));
        Thread.ofPlatform().daemon().start(() -> serve(command));
        String base = "http://127.0.0.1:" + port;
        awaitReady(URI.create(base + "/readyz"));
        ask(URI.create(base + "/v1/completions"), "{\"prompt\":\"Once\",\"max_tokens\":8}");
        ask(
                URI.create(base + "/v1/chat/completions"),
                "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":8,\"stream\":true}");
        System.exit(0);
    }

    private static void serve(List<String> command) {
        try {
            Main.main(command.toArray(String[]::new));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return probe.getLocalPort();
        }
    }

    private static void awaitReady(URI address) throws InterruptedException {
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (!ready(address)) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("not ready after " + LIMIT.toSeconds() + " s");
            }
            Thread.sleep(50);
        }
    }

    private static boolean ready(URI address) {
        try {
            return open(address).getResponseCode() == 200;
        } catch (IOException e) {
            return false; // not listening yet
        }
    }

    private static void ask(URI address, String json) throws IOException {
        HttpURLConnection connection = open(address);
        connection.setDoOutput(true);
        connection.setRequestProperty("Content-Type", "application/json");
        connection.getOutputStream().write(json.getBytes(StandardCharsets.UTF_8));
        try (InputStream answer = connection.getInputStream()) {
            answer.readAllBytes();
        }
    }

    private static HttpURLConnection open(URI address) throws IOException {
        if (address.toURL().openConnection() instanceof HttpURLConnection connection) {
            connection.setConnectTimeout((int) LIMIT.toMillis());
            connection.setReadTimeout((int) LIMIT.toMillis());
            return connection;
        }
        throw new IOException(address + " is not HTTP");
    }
}
