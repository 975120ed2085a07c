package dev.quire.bench;

import java.util.Arrays;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/** The command {@code quire bench}: a table of what can be measured. */
@Command(
        name = "quire bench",
        description = "Measures servers. Without a command: serve. Flags of a command: quire bench COMMAND --help",
        subcommands = {
            ServeBench.class,
            TableBench.class,
            CompareBench.class,
            ModesBench.class,
            OverheadBench.class,
            StartBench.class,
            KernelsBench.class
        },
        sortOptions = false,
        usageHelpAutoWidth = true)
public final class Bench {
    private static final String DEFAULT = "serve";

    @SuppressWarnings("UnusedVariable") // picocli reads it
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            scope = ScopeType.INHERIT,
            description = "print this text")
    private boolean help;

    private Bench() {}

    /** Runs a command; exit code 1 when it failed, 2 for a bad command line. */
    public static void main(String[] arguments) {
        System.exit(commandLine().execute(withCommand(arguments)));
    }

    static CommandLine commandLine() {
        return new CommandLine(new Bench()).setExecutionExceptionHandler((e, _, _) -> {
            System.err.println("quire bench: " + (e.getMessage() == null ? e : e.getMessage()));
            return e instanceof IllegalArgumentException ? 2 : 1;
        });
    }

    /** The arguments with {@code serve} before them when they begin with one of its flags. */
    static String[] withCommand(String... arguments) {
        boolean named = arguments.length > 0
                && (commandLine().getSubcommands().containsKey(arguments[0])
                        || arguments[0].equals("-h")
                        || arguments[0].equals("--help")
                        || !arguments[0].startsWith("-"));
        return named
                ? arguments
                : Stream.concat(Stream.of(DEFAULT), Arrays.stream(arguments)).toArray(String[]::new);
    }
}
