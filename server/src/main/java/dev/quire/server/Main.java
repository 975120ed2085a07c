package dev.quire.server;

import dev.quire.model.store.ConsoleProgress;
import dev.quire.model.store.ModelStore;
import dev.quire.model.store.ModelStoreException;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The commands behind {@code ./quire}: {@code fetch}. Exit codes: 0 done, 1 failed, 2 bad command line. */
public final class Main {
    private static final int FAILED = 1;
    private static final int USAGE = 2;

    private Main() {}

    /** Runs a command and ends the process with its exit code. */
    public static void main(String[] arguments) {
        String command = arguments.length == 0 ? "serve" : arguments[0];
        String[] rest = arguments.length == 0 ? arguments : Arrays.copyOfRange(arguments, 1, arguments.length);
        int code = switch (command) {
            case "fetch" -> fetch(System.getenv(), rest);
            default -> usage("unknown command '" + command + "'; known: fetch");
        };
        System.exit(code);
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
            return FAILED;
        }
    }

    private static int usage(String text) {
        System.err.println("quire: " + text);
        return USAGE;
    }
}
