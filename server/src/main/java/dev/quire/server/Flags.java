package dev.quire.server;

import dev.quire.model.LoadOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The flags of {@code quire serve}, named as vLLM names them, and their defaults: the one place both are written. */
@Command(
        name = "quire serve",
        description = "Serves a model over an OpenAI-compatible HTTP API.",
        sortOptions = false,
        usageHelpAutoWidth = true)
public final class Flags {
    @Parameters(
            arity = "0..1",
            paramLabel = "MODEL",
            description = "a .gguf file, a folder or a Hub id; the same as --model")
    private @Nullable String positionalModel;

    @Option(
            names = "--model",
            paramLabel = "MODEL",
            description = "a .gguf file, a folder or a Hub id (default: SmolLM2-135M-Instruct)")
    private @Nullable String model;

    @Option(
            names = "--served-model-name",
            arity = "1..*",
            paramLabel = "NAME",
            description = "names for requests to use; the first is echoed")
    private List<String> servedModelNames = new ArrayList<>();

    @Option(
            names = "--host",
            defaultValue = "127.0.0.1",
            description = "address to listen on (default: ${DEFAULT-VALUE}; 0.0.0.0 for all)")
    private String host = "";

    @Option(names = "--port", defaultValue = "8000", description = "port, 0 for any (default: ${DEFAULT-VALUE})")
    private int port;

    @Option(
            names = "--api-key",
            arity = "1..*",
            paramLabel = "KEY",
            description = "keys that requests must carry (also: environment QUIRE_API_KEY or VLLM_API_KEY)")
    private List<String> apiKeys = new ArrayList<>();

    @Option(
            names = "--root-path",
            defaultValue = "",
            paramLabel = "PREFIX",
            description = "path prefix that a proxy may leave on requests")
    private String rootPath = "";

    @Option(names = "--device", defaultValue = "auto", description = "auto, cpu or java (default: ${DEFAULT-VALUE})")
    private String device = "";

    @Option(
            names = "--isa",
            defaultValue = "auto",
            description = "auto, avx512, avx2 or scalar (default: ${DEFAULT-VALUE})")
    private String isa = "";

    @Option(
            names = "--threads",
            defaultValue = "0",
            description = "compute threads, 0 = physical cores this process may use (default: ${DEFAULT-VALUE})")
    private int threads;

    @Option(
            names = "--precision",
            defaultValue = "default",
            description = "default, or high: 15-bit activations for quantised weights")
    private String precision = "";

    @Option(
            names = "--chat-template",
            paramLabel = "FILE",
            description = "Jinja template for chats (default: the model's own)")
    private @Nullable Path chatTemplate;

    @Option(
            names = "--max-model-len",
            defaultValue = "auto",
            converter = Sizes.Tokens.class,
            paramLabel = "TOKENS",
            description = "longest sequence; 32k style accepted (default: the model's)")
    private int maxModelLen;

    @Option(
            names = "--max-num-seqs",
            defaultValue = "128",
            paramLabel = "N",
            description = "sequences in one step (default: ${DEFAULT-VALUE})")
    private int maxSequences;

    @Option(
            names = "--max-num-batched-tokens",
            defaultValue = "2048",
            paramLabel = "N",
            description = "tokens in one step (default: ${DEFAULT-VALUE})")
    private int maxBatchedTokens;

    @Option(
            names = "--max-num-queued-reqs",
            defaultValue = "1024",
            paramLabel = "N",
            description = "unfinished sequences beyond which requests get 503 (default: ${DEFAULT-VALUE})")
    private int maxQueuedRequests;

    @Option(
            names = "--max-num-queued-tokens",
            defaultValue = "0",
            paramLabel = "N",
            description =
                    "waiting prompt tokens beyond which requests get 503, 0 = no limit (default: ${DEFAULT-VALUE})")
    private long maxQueuedTokens;

    @Option(
            names = "--scheduling-policy",
            defaultValue = "fcfs",
            description = "fcfs or priority (default: ${DEFAULT-VALUE})")
    private String policy = "";

    @Option(
            names = "--batching",
            defaultValue = "continuous",
            description = "continuous; static or dynamic: padded batches of whole requests, to compare with"
                    + " (default: ${DEFAULT-VALUE})")
    private String batching = "";

    @Option(
            names = "--kv-cache-memory-bytes",
            defaultValue = "0",
            converter = Sizes.Bytes.class,
            paramLabel = "SIZE",
            description = "size of the KV cache, 512M style accepted (default: a share of the memory left)")
    private long kvCacheBytes;

    @Option(
            names = "--kv-cache-dtype",
            defaultValue = "auto",
            description = "auto, f16 or f32 (default: ${DEFAULT-VALUE})")
    private String kvType = "";

    @Option(
            names = "--block-size",
            defaultValue = "16",
            paramLabel = "TOKENS",
            description = "tokens in a KV block, a multiple of 16 (default: ${DEFAULT-VALUE})")
    private int blockTokens;

    @Option(
            names = "--enable-prefix-caching",
            negatable = true,
            defaultValue = "true",
            fallbackValue = "true",
            description = "share computed prefixes (default: on)")
    private boolean prefixCaching;

    @Option(
            names = "--max-request-body-bytes",
            defaultValue = "16M",
            converter = Sizes.Bytes.class,
            paramLabel = "SIZE",
            description = "longest request body (default: ${DEFAULT-VALUE})")
    private long maxBodyBytes;

    @Option(
            names = "--client-timeout",
            defaultValue = "60",
            paramLabel = "SECONDS",
            description =
                    "time after which a client that stops sending or reading is dropped (default: ${DEFAULT-VALUE})")
    private int clientTimeout;

    @Option(
            names = "--sse-keep-alive-interval",
            defaultValue = "15",
            paramLabel = "SECONDS",
            description = "idle time after which a stream gets a comment, 0 = never (default: ${DEFAULT-VALUE})")
    private int sseKeepAlive;

    @Option(
            names = "--error-style",
            defaultValue = "vllm",
            description = "vllm or openai: the shape of error bodies (default: ${DEFAULT-VALUE})")
    private String errorStyle = "";

    @Option(
            names = "--shutdown-timeout",
            defaultValue = "30",
            paramLabel = "SECONDS",
            description = "time for running requests after SIGTERM (default: ${DEFAULT-VALUE})")
    private int drain;

    @Option(
            names = "--record-arrivals",
            paramLabel = "FILE",
            description = "append when each request came and its lengths, never its text, for quire bench to replay")
    private @Nullable Path recordArrivals;

    @Option(names = "--offline", description = "never use the network to find the model")
    private boolean offline;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "print this text")
    private boolean help;

    private Flags() {}

    /** What parsing came to. */
    public sealed interface Parsed {
        /** A configuration to serve with. */
        record Serve(ServerConfig config) implements Parsed {}

        /** Text to print, and the exit code that goes with it: 0 for help, 2 for a bad command line. */
        record Exit(int code, String text) implements Parsed {}
    }

    /** Reads a command line; both {@code --a-b} and {@code --a_b} are understood. */
    public static Parsed parse(Map<String, String> environment, String... arguments) {
        Flags flags = new Flags();
        CommandLine line = new CommandLine(flags);
        String[] dashed = new String[arguments.length];
        for (int i = 0; i < arguments.length; i++) {
            dashed[i] = dashes(arguments[i]);
        }
        try {
            line.parseArgs(dashed);
            if (flags.help) {
                return new Parsed.Exit(0, line.getUsageMessage());
            }
            return new Parsed.Serve(flags.config(environment));
        } catch (CommandLine.UnmatchedArgumentException e) {
            String unknown = e.getUnmatched().getFirst();
            return new Parsed.Exit(2, "unknown argument " + unknown + nearest(line, unknown));
        } catch (CommandLine.ParameterException | IllegalArgumentException e) {
            return new Parsed.Exit(2, String.valueOf(e.getMessage()));
        }
    }

    private static String nearest(CommandLine line, String unknown) {
        String name = unknown.split("=", 2)[0];
        return line.getCommandSpec().optionsMap().keySet().stream()
                .min(Comparator.comparingInt(option -> editDistance(name, option)))
                .map(option -> "; did you mean " + option + "?")
                .orElse("");
    }

    /** Levenshtein's distance: insertions, deletions and replacements that turn one text into the other. */
    private static int editDistance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replaced, Math.min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.length()];
    }

    private static String dashes(String argument) {
        if (!argument.startsWith("--")) {
            return argument;
        }
        int equals = argument.indexOf('=');
        String name = equals < 0 ? argument : argument.substring(0, equals);
        return name.replace('_', '-') + (equals < 0 ? "" : argument.substring(equals));
    }

    private ServerConfig config(Map<String, String> environment) {
        oneOf("--device", device, "auto", "cpu", "java");
        oneOf("--isa", isa, "auto", "avx512", "avx2", "scalar");
        oneOf("--precision", precision, "default", "high");
        oneOf("--scheduling-policy", policy, "fcfs", "priority");
        oneOf("--batching", batching, "continuous", "static", "dynamic");
        oneOf("--kv-cache-dtype", kvType, "auto", "f16", "f32");
        oneOf("--error-style", errorStyle, "vllm", "openai");
        range("--port", port, 0, 65535);
        range("--threads", threads, 0, 1024);
        range("--max-num-seqs", maxSequences, 1, 4096);
        range("--max-num-batched-tokens", maxBatchedTokens, 16, 1 << 20);
        range("--max-num-queued-reqs", maxQueuedRequests, 1, Integer.MAX_VALUE);
        range("--max-num-queued-tokens", maxQueuedTokens, 0, Long.MAX_VALUE);
        range("--block-size", blockTokens, 16, 256);
        range("--max-request-body-bytes", maxBodyBytes, 1024, Integer.MAX_VALUE / 2);
        range("--client-timeout", clientTimeout, 1, 3600);
        range("--sse-keep-alive-interval", sseKeepAlive, 0, 3600);
        range("--shutdown-timeout", drain, 0, 86400);
        if (blockTokens % 16 != 0) {
            throw new IllegalArgumentException("--block-size is " + blockTokens + "; it must be a multiple of 16");
        }
        if (maxBatchedTokens < maxSequences) {
            throw new IllegalArgumentException("--max-num-batched-tokens is " + maxBatchedTokens
                    + ", less than --max-num-seqs (" + maxSequences + "): every sequence needs a token in a step");
        }
        if (!batching.equals("continuous") && policy.equals("priority")) {
            throw new IllegalArgumentException(
                    "--batching is " + batching + "; it goes with --scheduling-policy fcfs only");
        }
        if (!rootPath.isEmpty() && !rootPath.startsWith("/")) {
            throw new IllegalArgumentException("--root-path is '" + rootPath + "'; it must begin with /");
        }
        return new ServerConfig(
                host,
                port,
                model == null ? positionalModel : model,
                List.copyOf(servedModelNames),
                offline,
                new LoadOptions(
                        device,
                        isa,
                        threads,
                        kvCacheBytes,
                        kvType,
                        blockTokens,
                        maxModelLen,
                        maxBatchedTokens,
                        maxSequences,
                        precision.equals("high"),
                        chatTemplate),
                new ServerConfig.Scheduling(
                        policy.equals("priority") ? ServerConfig.Policy.PRIORITY : ServerConfig.Policy.FCFS,
                        ServerConfig.Batching.valueOf(batching.toUpperCase(Locale.ROOT)),
                        prefixCaching,
                        maxQueuedRequests,
                        maxQueuedTokens,
                        Duration.ofSeconds(drain)),
                new ServerConfig.Edge(
                        keys(environment),
                        rootPath.replaceAll("/+$", ""),
                        (int) maxBodyBytes,
                        Duration.ofSeconds(clientTimeout),
                        Duration.ofSeconds(sseKeepAlive),
                        errorStyle.equals("openai")),
                recordArrivals,
                Map.copyOf(environment));
    }

    private List<String> keys(Map<String, String> environment) {
        List<String> keys = new ArrayList<>();
        for (String key : apiKeys) {
            if (key.isBlank()) {
                throw new IllegalArgumentException("--api-key is blank; leave it out to need no key");
            }
            keys.add(key.strip());
        }
        for (String variable : List.of("QUIRE_API_KEY", "VLLM_API_KEY")) {
            String key = environment.getOrDefault(variable, "").strip();
            if (!key.isEmpty()) {
                keys.add(key);
            }
        }
        return List.copyOf(keys);
    }

    private static void oneOf(String flag, String value, String... allowed) {
        if (!List.of(allowed).contains(value)) {
            throw new IllegalArgumentException(flag + " is '" + value + "'; allowed: " + String.join(", ", allowed));
        }
    }

    private static void range(String flag, long value, long least, long most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(flag + " is " + value + "; allowed: " + least + " to " + most);
        }
    }
}
