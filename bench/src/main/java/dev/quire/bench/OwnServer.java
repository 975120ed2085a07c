package dev.quire.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A server started for the measurement, on a free port, and stopped after it. */
final class OwnServer implements AutoCloseable {
    private static final Duration START_LIMIT = Duration.ofMinutes(10);

    private final Process process;
    private final URI address;
    private final Path log;

    private OwnServer(Process process, URI address, Path log) {
        this.process = process;
        this.address = address;
        this.log = log;
    }

    /** Starts {@code launcher serve} with more arguments and waits until it takes requests. */
    static OwnServer start(Path launcher, List<String> arguments) throws IOException, InterruptedException {
        int port;
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = probe.getLocalPort();
        }
        List<String> command = new ArrayList<>(
                List.of(launcher.toString(), "serve", "--host", "127.0.0.1", "--port", Integer.toString(port)));
        command.addAll(arguments);
        Path log = Files.createTempFile("quire-bench-server", ".log");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        OwnServer server = new OwnServer(process, URI.create("http://127.0.0.1:" + port), log);
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroy));
        try {
            server.awaitReady();
            return server;
        } catch (IOException | InterruptedException e) {
            server.close();
            throw e;
        }
    }

    URI address() {
        return address;
    }

    private void awaitReady() throws IOException, InterruptedException {
        long deadline = System.nanoTime() + START_LIMIT.toNanos();
        while (!ready()) {
            if (process.waitFor(100, TimeUnit.MILLISECONDS)) {
                throw new IOException(
                        "the server ended with code " + process.exitValue() + ":\n" + Files.readString(log));
            }
            if (System.nanoTime() > deadline) {
                throw new IOException("the server was not ready after " + START_LIMIT.toMinutes() + " min; see " + log);
            }
        }
    }

    private boolean ready() {
        try (SseClient client = new SseClient(address, null)) {
            client.get("/readyz");
            return true;
        } catch (IOException e) {
            return false; // not listening yet, or loading
        }
    }

    @Override
    public void close() {
        process.destroy();
        try {
            if (!process.waitFor(10, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }
}
