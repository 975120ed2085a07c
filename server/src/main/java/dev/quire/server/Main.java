package dev.quire.server;

import dev.quire.model.store.ConsoleProgress;
import dev.quire.model.store.ModelStore;
import dev.quire.model.store.ModelStoreException;
import dev.quire.server.ops.LogProvider;
import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The commands behind {@code ./quire}: {@code serve} and {@code fetch}. Exit codes: 0 done, 1 failed, 2 bad command
 * line, 143 stopped by a second signal.
 */
public final class Main {
    private static final int USAGE = 2;
    private static final int CUT_SHORT = 143;

    private Main() {}

    /** Runs a command and ends the process with its exit code. */
    public static void main(String[] arguments) throws InterruptedException {
        LogProvider.install();
        String command = arguments.length == 0 ? "serve" : arguments[0];
        String[] rest = arguments.length == 0 ? arguments : Arrays.copyOfRange(arguments, 1, arguments.length);
        int code = switch (command) {
            case "serve" -> serve(System.getenv(), rest);
            case "fetch" -> fetch(System.getenv(), rest);
            default -> usage("unknown command '" + command + "'; known: serve, fetch");
        };
        System.exit(code);
    }

    private static int serve(Map<String, String> environment, String[] arguments) throws InterruptedException {
        return switch (Flags.parse(environment, arguments)) {
            case Flags.Parsed.Exit(int code, String text)
            when code == 0 -> {
                System.out.print(text);
                yield 0;
            }
            case Flags.Parsed.Exit(int code, String text) -> {
                System.err.println("quire: " + text);
                yield code;
            }
            case Flags.Parsed.Serve(ServerConfig config) -> serve(config);
        };
    }

    private static int serve(ServerConfig config) throws InterruptedException {
        long started = System.nanoTime();
        QuireServer server;
        try {
            server = QuireServer.start(config);
        } catch (IOException e) {
            System.err.println("quire: " + e.getMessage());
            return QuireServer.FAILED;
        }
        Signals.onStop(() -> {
            if (!server.beginStop()) {
                Runtime.getRuntime().halt(CUT_SHORT);
            }
        });
        Thread.ofVirtual().start(() -> greet(server, config, started));
        return server.awaitEnd();
    }

    private static void greet(QuireServer server, ServerConfig config, long startedNanos) {
        try {
            server.awaitReady();
        } catch (InterruptedException | IllegalStateException e) {
            return; // what went wrong has been logged
        }
        Deployment running = server.deployment();
        if (running != null) {
            System.out.print(Greeting.text(running, config.host(), server.port(), System.nanoTime() - startedNanos));
            System.out.flush();
        }
    }

    /** Prints the path of a model on this disk, after downloading what is missing. */
    private static int fetch(Map<String, String> environment, String[] arguments) {
        boolean offline = false;
        String model = null;
        for (String argument : arguments) {
            if (argument.equals("--offline")) {
                offline = true;
            } else if (argument.startsWith("-") || model != null) {
                return usage("usage: quire fetch [--offline] [MODEL]");
            } else {
                model = argument;
            }
        }
        return print(environment, offline, model);
    }

    private static int print(Map<String, String> environment, boolean offline, @Nullable String model) {
        try (ConsoleProgress progress = new ConsoleProgress()) {
            ModelStore store = new ModelStore(ModelStore.cacheFolder(environment), environment, offline, progress);
            System.out.println(store.resolve(model));
            return 0;
        } catch (ModelStoreException e) {
            System.err.println("quire: " + e.getMessage());
            return QuireServer.FAILED;
        }
    }

    private static int usage(String text) {
        System.err.println("quire: " + text);
        return USAGE;
    }
}
