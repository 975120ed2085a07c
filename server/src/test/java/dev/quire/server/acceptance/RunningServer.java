package dev.quire.server.acceptance;

import dev.quire.server.Flags;
import dev.quire.server.QuireServer;
import java.util.Map;
import java.util.stream.Stream;

/** A whole server in this process on a free port, with the real default model or another. */
final class RunningServer implements AutoCloseable {
    private final QuireServer server;

    private RunningServer(QuireServer server) {
        this.server = server;
    }

    /** Starts a server for the default model with the given flags and waits until it takes requests. */
    static RunningServer start(String... flags) throws Exception {
        String model = System.getProperty("quire.test.model", "");
        if (model.isEmpty()) {
            throw new IllegalStateException("set -Dquire.test.model to the default model's file, or run ./quire test");
        }
        return of(model, flags);
    }

    /** The same for the model of a file or folder. */
    static RunningServer of(String model, String... flags) throws Exception {
        String[] all = Stream.concat(Stream.of("--model", model, "--port", "0"), Stream.of(flags))
                .toArray(String[]::new);
        QuireServer server = switch (Flags.parse(Map.of(), all)) {
            case Flags.Parsed.Serve serve -> QuireServer.start(serve.config());
            case Flags.Parsed.Exit exit -> throw new IllegalArgumentException(exit.text());
        };
        server.awaitReady();
        return new RunningServer(server);
    }

    int port() {
        return server.port();
    }

    Client client() {
        return new Client(server.port());
    }

    @Override
    public void close() {
        server.drainAndClose();
    }
}
