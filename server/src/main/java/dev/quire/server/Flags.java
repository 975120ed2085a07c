package dev.quire.server;

import dev.quire.model.LoadOptions;
import dev.quire.scheduler.EngineConfig;
import dev.quire.scheduler.Speculation;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The flags of {@code quire serve}, named as vLLM names them, and their defaults: the one place both are written. */
public final class Flags {
    private static final String HEADING = """
            Usage: quire serve [FLAGS] [MODEL]
            Serves a model over an OpenAI-compatible HTTP API.
                  [MODEL]                a .gguf file, a folder or a Hub id; the same as --model
            """;

    private static final List<Flag> ALL = List.of(
            Flag.one("--model", "MODEL", "", "a .gguf file, a folder or a Hub id (default: SmolLM2-135M-Instruct)"),
            Flag.many("--served-model-name", "NAME", "names for requests to use; the first is echoed"),
            Flag.one("--host", "HOST", "127.0.0.1", "address to listen on (default: %s; 0.0.0.0 for all)"),
            Flag.one("--port", "PORT", "8000", "port, 0 for any (default: %s)"),
            Flag.many(
                    "--api-key",
                    "KEY",
                    "keys that requests must carry (also: environment QUIRE_API_KEY or VLLM_API_KEY)"),
            Flag.one("--root-path", "PREFIX", "", "path prefix that a proxy may leave on requests"),
            Flag.one("--device", "DEVICE", "auto", "auto, cpu, cuda or java (default: %s)"),
            Flag.one("--isa", "ISA", "auto", "auto, avx512_bf16, avx512, avx2 or scalar (default: %s)"),
            Flag.one("--threads", "N", "0", "compute threads, 0 = physical cores this process may use (default: %s)"),
            Flag.one(
                    "--tensor-parallel-size",
                    "N",
                    "1",
                    "split the model over N GPUs, on a CPU over N shares of the threads (default: %s)"),
            Flag.one(
                    "--precision",
                    "PRECISION",
                    "default",
                    "default, or high: 15-bit activations for quantised weights, and a float32 cache;"
                            + " on a GPU 16-bit activations for FP8 weights"),
            Flag.one("--chat-template", "FILE", "", "Jinja template for chats (default: the model's own)"),
            Flag.one(
                    "--max-model-len", "TOKENS", "auto", "longest sequence; 32k style accepted (default: the model's)"),
            Flag.one("--max-num-seqs", "N", "auto", "sequences in one step (default: 128, on a GPU 256)"),
            Flag.one("--max-num-batched-tokens", "N", "auto", "tokens in one step (default: 2048, on a GPU 8192)"),
            Flag.one(
                    "--max-num-queued-reqs",
                    "N",
                    "1024",
                    "unfinished sequences beyond which requests get 503 (default: %s)"),
            Flag.one(
                    "--max-num-queued-tokens",
                    "N",
                    "0",
                    "waiting prompt tokens beyond which requests get 503, 0 = no limit (default: %s)"),
            Flag.one("--scheduling-policy", "POLICY", "fcfs", "fcfs or priority (default: %s)"),
            Flag.one(
                    "--batching",
                    "MODE",
                    "continuous",
                    "continuous; static or dynamic: padded batches of whole requests, to compare with (default: %s)"),
            Flag.one(
                    "--kv-cache-memory-bytes",
                    "SIZE",
                    "0",
                    "size of the KV cache, 512M style accepted (default: on a GPU what --gpu-memory-utilization leaves; else a share of the memory left, 40k tokens at most)"),
            Flag.one(
                    "--kv-offloading-size",
                    "GIB",
                    "0",
                    "GiB of host memory that keep what the KV cache has no room for, 0 = none (default: %s)"),
            Flag.one(
                    "--gpu-memory-utilization",
                    "SHARE",
                    "0.9",
                    "share of the GPU's memory that the server takes in all, above 0 and at most 1 (default: %s)"),
            Flag.one(
                    "--kv-cache-dtype",
                    "TYPE",
                    "auto",
                    "auto, bfloat16 (or bf16), int8, fp8 (or fp8_e4m3) or f32 (default: %s)"),
            Flag.one("--block-size", "TOKENS", "16", "tokens in a KV block, a multiple of 16 (default: %s)"),
            Flag.on("--enable-prefix-caching", "share computed prefixes (default: on)"),
            Flag.one(
                    "--speculative-config",
                    "JSON",
                    "{}",
                    "guess tokens from what a sequence holds already, where that pays: a JSON object with method ngram,"
                            + " num_speculative_tokens, prompt_lookup_max and prompt_lookup_min, or none"
                            + " (default: ngram, 8, 4, 2)"),
            Flag.one("--max-request-body-bytes", "SIZE", "16M", "longest request body (default: %s)"),
            Flag.one(
                    "--client-timeout",
                    "SECONDS",
                    "60",
                    "time after which a client that stops sending or reading is dropped (default: %s)"),
            Flag.one(
                    "--sse-keep-alive-interval",
                    "SECONDS",
                    "15",
                    "idle time after which a stream gets a comment, 0 = never (default: %s)"),
            Flag.one("--error-style", "STYLE", "vllm", "vllm or openai: the shape of error bodies (default: %s)"),
            Flag.one("--shutdown-timeout", "SECONDS", "30", "time for running requests after SIGTERM (default: %s)"),
            Flag.one(
                    "--record-arrivals",
                    "FILE",
                    "",
                    "append when each request came and its lengths, never its text, for quire bench to replay"),
            Flag.off("--offline", "never use the network to find the model"),
            Flag.off("--help", "print this text"));

    private final CommandLine line;
    private final Map<String, String> environment;

    private Flags(CommandLine line, Map<String, String> environment) {
        this.line = line;
        this.environment = environment;
    }

    /** What parsing came to. */
    public sealed interface Parsed {
        /** A configuration to serve with. */
        record Serve(ServerConfig config) implements Parsed {}

        /** Text to print, and the exit code that goes with it: 0 for help, 2 for a bad command line. */
        record Exit(int code, String text) implements Parsed {}
    }

    /** Reads a command line; both {@code --a-b} and {@code --a_b} are understood. */
    public static Parsed parse(Map<String, String> environment, String... arguments) {
        try {
            CommandLine line = new CommandLine(ALL, arguments);
            return line.isOn("--help")
                    ? new Parsed.Exit(0, Usage.text(HEADING, ALL))
                    : new Parsed.Serve(new Flags(line, environment).config());
        } catch (IllegalArgumentException e) {
            return new Parsed.Exit(2, String.valueOf(e.getMessage()));
        }
    }

    private ServerConfig config() {
        String model = line.textOrNull("--model");
        return new ServerConfig(
                line.text("--host"),
                line.integer("--port", 0, 65535),
                model == null ? line.lone() : model,
                line.texts("--served-model-name"),
                line.isOn("--offline"),
                load(),
                scheduling(),
                edge(),
                line.path("--record-arrivals"),
                Map.copyOf(environment));
    }

    private LoadOptions load() {
        int blockTokens = line.integer("--block-size", 16, 256);
        if (blockTokens % 16 != 0) {
            throw new IllegalArgumentException("--block-size is " + blockTokens + "; it must be a multiple of 16");
        }
        boolean gpu = line.text("--device").equals("cuda");
        int maxSequences = line.integer("--max-num-seqs", 1, 4096, gpu ? 256 : LoadOptions.DEFAULTS.maxSequences());
        int maxBatchedTokens = line.integer(
                "--max-num-batched-tokens", 16, 1 << 20, gpu ? 8192 : LoadOptions.DEFAULTS.maxBatchedTokens());
        if (maxBatchedTokens < maxSequences) {
            throw new IllegalArgumentException("--max-num-batched-tokens is " + maxBatchedTokens
                    + ", less than --max-num-seqs (" + maxSequences + "): every sequence needs a token in a step");
        }
        return new LoadOptions(
                line.oneOf("--device", "auto", "cpu", "cuda", "java"),
                line.oneOf("--isa", "auto", "avx512_bf16", "avx512", "avx2", "scalar"),
                line.integer("--threads", 0, 1024),
                line.bytes("--kv-cache-memory-bytes", 0, Long.MAX_VALUE),
                line.gibibytes("--kv-offloading-size"),
                line.share("--gpu-memory-utilization"),
                line.oneOf("--kv-cache-dtype", "auto", "bfloat16", "bf16", "int8", "fp8", "fp8_e4m3", "f32"),
                blockTokens,
                line.tokens("--max-model-len"),
                maxBatchedTokens,
                maxSequences,
                line.oneOf("--precision", "default", "high").equals("high"),
                line.integer("--tensor-parallel-size", 1, 64),
                line.path("--chat-template"));
    }

    private ServerConfig.Scheduling scheduling() {
        boolean priority = line.oneOf("--scheduling-policy", "fcfs", "priority").equals("priority");
        String batching = line.oneOf("--batching", "continuous", "static", "dynamic");
        if (priority && !batching.equals("continuous")) {
            throw new IllegalArgumentException(
                    "--batching is " + batching + "; it goes with --scheduling-policy fcfs only");
        }
        return new ServerConfig.Scheduling(
                priority ? ServerConfig.Policy.PRIORITY : ServerConfig.Policy.FCFS,
                ServerConfig.Batching.valueOf(batching.toUpperCase(Locale.ROOT)),
                line.isOn("--enable-prefix-caching"),
                speculation(),
                line.integer("--max-num-queued-reqs", 1, Integer.MAX_VALUE),
                line.number("--max-num-queued-tokens", 0, Long.MAX_VALUE),
                Duration.ofSeconds(line.integer("--shutdown-timeout", 0, 86400)));
    }

    private Speculation speculation() {
        String config = line.textOrNull("--speculative-config");
        try {
            return config == null ? EngineConfig.DEFAULTS.speculation() : SpeculativeConfig.parse(config);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("--speculative-config: " + e.getMessage(), e);
        }
    }

    private ServerConfig.Edge edge() {
        String rootPath = line.text("--root-path");
        if (!rootPath.isEmpty() && !rootPath.startsWith("/")) {
            throw new IllegalArgumentException("--root-path is '" + rootPath + "'; it must begin with /");
        }
        while (rootPath.endsWith("/")) {
            rootPath = rootPath.substring(0, rootPath.length() - 1);
        }
        return new ServerConfig.Edge(
                keys(),
                rootPath,
                (int) line.bytes("--max-request-body-bytes", 1024, Integer.MAX_VALUE / 2),
                Duration.ofSeconds(line.integer("--client-timeout", 1, 3600)),
                Duration.ofSeconds(line.integer("--sse-keep-alive-interval", 0, 3600)),
                line.oneOf("--error-style", "vllm", "openai").equals("openai"));
    }

    private List<String> keys() {
        List<String> keys = new ArrayList<>();
        for (String key : line.texts("--api-key")) {
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
}
