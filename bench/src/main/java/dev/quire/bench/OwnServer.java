package dev.quire.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A server started for the measurement, on a free port, and stopped after it with all its processes. */
final class OwnServer implements AutoCloseable {
    private static final Duration START_LIMIT = Duration.ofMinutes(15);
    private static final Duration STOP_LIMIT = Duration.ofSeconds(30);
    private static final String PORT = "{port}";

    private final Process process;
    private final URI address;
    private final Path log;
    private final long started = System.nanoTime();
    private Duration startTime = Duration.ZERO;

    private OwnServer(Process process, URI address, Path log) {
        this.process = process;
        this.address = address;
        this.log = log;
    }

    /** The folder of this build. */
    static Path home() {
        return Path.of(System.getProperty("quire.home", "."));
    }

    /** Starts this build's {@code quire serve} with more flags and waits until it takes requests. */
    static OwnServer quire(List<String> flags) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(
                List.of(home().resolve("quire").toString(), "serve", "--host", "127.0.0.1", "--port", PORT));
        command.addAll(flags);
        return start(command);
    }

    /** Starts a shell command in which {@code {port}} is the port to listen on, and waits until it takes requests. */
    static OwnServer shell(String command) throws IOException, InterruptedException {
        return start(List.of("sh", "-c", command));
    }

    private static OwnServer start(List<String> command) throws IOException, InterruptedException {
        String port = Integer.toString(freePort());
        List<String> words =
                command.stream().map(word -> word.replace(PORT, port)).toList();
        Path log = Files.createTempFile("quire-bench-server", ".log");
        Process process = new ProcessBuilder(words)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        OwnServer server = new OwnServer(process, URI.create("http://127.0.0.1:" + port), log);
        Runtime.getRuntime().addShutdownHook(new Thread(server::signal));
        try {
            server.awaitReady();
            return server;
        } catch (IOException | InterruptedException e) {
            server.close();
            throw e;
        }
    }

    /** A port of the loopback address that nobody listens on. */
    static int freePort() throws IOException {
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return probe.getLocalPort();
        }
    }

    URI address() {
        return address;
    }

    /** From the start of the process until it listed its model. */
    Duration startTime() {
        return startTime;
    }

    /** The process and those that it has started. */
    List<Long> processes() {
        List<Long> ids = new ArrayList<>(List.of(process.pid()));
        process.descendants().map(ProcessHandle::pid).forEach(ids::add);
        return ids;
    }

    private void awaitReady() throws IOException, InterruptedException {
        while (!ready()) {
            if (process.waitFor(20, TimeUnit.MILLISECONDS)) {
                throw new IOException("the server ended with code " + process.exitValue() + ":\n" + lastLines());
            }
            if (System.nanoTime() - started > START_LIMIT.toNanos()) {
                throw new IOException("the server was not ready after " + START_LIMIT.toMinutes() + " min; see " + log);
            }
        }
        startTime = Duration.ofNanos(System.nanoTime() - started);
    }

    private String lastLines() throws IOException {
        List<String> lines = Files.readAllLines(log);
        return String.join("\n", lines.subList(Math.max(0, lines.size() - 20), lines.size()));
    }

    private boolean ready() throws InterruptedException {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(address.getHost(), address.getPort()), 1000);
            new Target(address, null).firstModel();
            return true;
        } catch (IOException e) {
            return false; // not listening yet, or loading
        }
    }

    private void signal() {
        process.descendants().forEach(ProcessHandle::destroy);
        process.destroy();
    }

    @Override
    public void close() {
        List<ProcessHandle> all = new ArrayList<>(process.descendants().toList());
        all.add(process.toHandle());
        signal();
        long deadline = System.nanoTime() + STOP_LIMIT.toNanos();
        try {
            while (all.stream().anyMatch(ProcessHandle::isAlive)) {
                if (System.nanoTime() > deadline) {
                    all.forEach(ProcessHandle::destroyForcibly);
                    return;
                }
                Thread.sleep(20);
            }
        } catch (InterruptedException e) {
            all.forEach(ProcessHandle::destroyForcibly);
            Thread.currentThread().interrupt();
        }
    }
}
