package dev.quire.bench;

import dev.quire.model.LoadedModel;
import dev.quire.model.ModelLoader;
import dev.quire.model.ModelRunner;
import dev.quire.model.sampling.SamplingParams;
import dev.quire.model.tokenizer.Tokenizer;
import dev.quire.scheduler.Engine;
import dev.quire.scheduler.EngineConfig;
import dev.quire.scheduler.EngineListener;
import dev.quire.scheduler.FcfsPolicy;
import dev.quire.scheduler.Generation;
import dev.quire.scheduler.GenerationRequest;
import dev.quire.scheduler.Speculation;
import dev.quire.scheduler.TokenEvent;
import dev.quire.server.Flags;
import dev.quire.server.QuireServer;
import dev.quire.server.ServerConfig;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * What serving costs beside the model: the real engine and the real server over a runner that computes nothing. First
 * through the scheduler alone, then over HTTP with the clients in a process of their own, then over HTTP with steps as
 * long as a model's, where each token is woken for by itself.
 */
@Command(
        name = "overhead",
        description = "Measures the engine and the HTTP side over a model that computes nothing.",
        sortOptions = false,
        usageHelpAutoWidth = true)
final class OverheadBench implements Callable<Integer> {
    private static final int PROMPT_TOKENS = 32;
    private static final int KV_BLOCKS = 1 << 14;
    private static final String TEXT = """
            The quick brown fox jumps over the lazy dog, and "nobody" minds:

            1. It was a bright cold day in April, and the clocks were striking thirteen.
            2. Größe, naïve café, 東京, 🙂 - not everything is ASCII.
            """;

    @Option(names = "--model", description = "whose tokenizer to use: a .gguf file or a folder (default: the default)")
    private @Nullable Path model;

    @Option(names = "--streams", defaultValue = "64", description = "sequences at once (default: ${DEFAULT-VALUE})")
    private int streams;

    @Option(names = "--tokens", defaultValue = "512", description = "of each request (default: ${DEFAULT-VALUE})")
    private int tokens;

    @Option(names = "--seconds", defaultValue = "5", description = "of each measurement (default: ${DEFAULT-VALUE})")
    private int seconds;

    @Option(names = "--warm-up", defaultValue = "10", description = "seconds before each (default: ${DEFAULT-VALUE})")
    private int warmUp;

    @Option(
            names = "--step-micros",
            defaultValue = "5000",
            description = "length of a step in the last measurement (default: ${DEFAULT-VALUE})")
    private long stepMicros;

    @Option(names = "--part", defaultValue = "all", description = "all, engine, http or paced (default: all)")
    private String part = "all";

    private OverheadBench() {}

    @Override
    public Integer call() throws IOException, InterruptedException {
        ServerConfig config = config();
        boolean all = part.equals("all");
        if (all || part.equals("engine")) {
            print("through the engine alone", engine(config));
        }
        if (all || part.equals("http")) {
            print("over HTTP", http(config, 0));
        }
        if (all || part.equals("paced")) {
            print("over HTTP, steps of " + stepMicros + " µs", http(config, stepMicros * 1000));
        }
        return 0;
    }

    private ServerConfig config() {
        List<String> flags = new ArrayList<>(List.of(
                "--port",
                "0",
                "--speculative-config",
                "none",
                "--max-num-seqs",
                Integer.toString(streams),
                "--max-model-len",
                "2048",
                "--kv-cache-memory-bytes",
                "64M"));
        if (model != null) {
            flags.addAll(List.of("--model", model.toString()));
        }
        return switch (Flags.parse(System.getenv(), flags.toArray(String[]::new))) {
            case Flags.Parsed.Serve(ServerConfig config) -> config;
            case Flags.Parsed.Exit(int _, String text) -> throw new IllegalArgumentException(text);
        };
    }

    /**
     * A measurement.
     *
     * @param events pieces that arrived: fewer than tokens where a reader was behind
     * @param gapMicros from the end of a step to the launch of the next
     * @param cpuSeconds by group of threads
     */
    private record Result(long tokens, long events, long nanos, double gapMicros, Map<String, Double> cpuSeconds) {}

    private void print(String what, Result result) {
        double perSecond = 1e9 / result.nanos;
        double all = result.cpuSeconds.values().stream()
                .mapToDouble(Double::doubleValue)
                .sum();
        System.out.printf(
                Locale.ROOT,
                "%s, %d streams: %,.0f tokens/s, %,.0f events/s, %.2f µs of CPU a token, %.1f µs between steps%n",
                what,
                streams,
                result.tokens * perSecond,
                result.events * perSecond,
                all * 1e6 / result.tokens,
                result.gapMicros);
        result.cpuSeconds.forEach((group, used) -> System.out.printf(
                Locale.ROOT,
                "    %-16s %5.1f %% of a core  %6.2f µs a token%n",
                group,
                used * 1e9 / result.nanos * 100,
                used * 1e6 / result.tokens));
    }

    // --- the engine alone --------------------------------------------------------------------------------------------

    private Result engine(ServerConfig config) throws IOException, InterruptedException {
        ModelRunner.Limits limits =
                new ModelRunner.Limits(2048, streams, 1 << 16, 64, 4 * streams, 1 << 20, KV_BLOCKS, 16);
        int[] text = new int[1000];
        java.util.Arrays.setAll(text, i -> i);
        EngineConfig scheduling = new EngineConfig.Builder()
                .step(config.load().maxBatchedTokens(), streams)
                .speculation(Speculation.NONE)
                .build();
        LongAdder read = new LongAdder();
        IdleRunner runner = new IdleRunner(limits, text, 0);
        Engine engine = Engine.start(runner, scheduling, new FcfsPolicy(), EngineListener.NONE);
        try (ExecutorService readers = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int i = 0; i < streams; i++) {
                int number = i;
                var _ = readers.submit(() -> read(engine, number, read));
            }
            Thread.sleep(Duration.ofSeconds(warmUp));
            long tokensBefore = read.sum();
            IdleRunner.Gaps gapsBefore = runner.gaps();
            Map<String, Double> cpuBefore = ThreadTimes.now();
            long started = System.nanoTime();
            Thread.sleep(Duration.ofSeconds(seconds));
            long drawn = read.sum() - tokensBefore;
            long nanos = System.nanoTime() - started;
            Map<String, Double> cpu = ThreadTimes.between(cpuBefore, ThreadTimes.now());
            readers.shutdownNow();
            return new Result(drawn, drawn, nanos, runner.gaps().microsSince(gapsBefore), cpu);
        } finally {
            engine.close();
        }
    }

    private @Nullable Void read(Engine engine, int number, LongAdder count) throws InterruptedException {
        for (int round = 0; !Thread.currentThread().isInterrupted(); round++) {
            int[] prompt = new int[PROMPT_TOKENS];
            java.util.Arrays.fill(prompt, 1 + number);
            prompt[0] = round;
            GenerationRequest request =
                    new GenerationRequest("overhead", prompt, SamplingParams.GREEDY, 1, tokens, 0, new int[0], 0, null);
            if (!(engine.submit(request) instanceof Engine.Submission.Accepted(Generation generation))) {
                throw new IllegalStateException("refused");
            }
            try (generation) {
                TokenEvent event = generation.next();
                while (event instanceof TokenEvent.Token) {
                    count.increment();
                    event = generation.next();
                }
            }
        }
        return null;
    }

    // --- over HTTP ---------------------------------------------------------------------------------------------------

    private Result http(ServerConfig config, long stepNanos) throws IOException, InterruptedException {
        CompletableFuture<IdleRunner> started = new CompletableFuture<>();
        QuireServer server = QuireServer.start(
                config,
                (files, options, progress) -> idle(ModelLoader.load(files, options, progress), stepNanos, started));
        Process client = null;
        try {
            server.awaitReady();
            client = client(server.port());
            Writer ask = client.outputWriter(StandardCharsets.UTF_8);
            BufferedReader answers =
                    new BufferedReader(new InputStreamReader(client.getInputStream(), StandardCharsets.UTF_8));
            Thread.sleep(Duration.ofSeconds(warmUp));
            IdleRunner runner = started.join();
            IdleRunner.Gaps gapsBefore = runner.gaps();
            long[] before = counts(ask, answers);
            Duration clientBefore = cpu(client);
            Map<String, Double> cpuBefore = ThreadTimes.now();
            long began = System.nanoTime();
            Thread.sleep(Duration.ofSeconds(seconds));
            long[] after = counts(ask, answers);
            long nanos = System.nanoTime() - began;
            Map<String, Double> used = ThreadTimes.between(cpuBefore, ThreadTimes.now());
            used.put("clients", cpu(client).minus(clientBefore).toNanos() / 1e9);
            return new Result(
                    after[1] - before[1],
                    after[0] - before[0],
                    nanos,
                    runner.gaps().microsSince(gapsBefore),
                    used);
        } finally {
            if (client != null) {
                client.destroy();
                client.waitFor();
            }
            server.drainAndClose();
        }
    }

    /** The model with its device idle. */
    private static LoadedModel idle(LoadedModel model, long stepNanos, CompletableFuture<IdleRunner> started) {
        ModelRunner.Limits l = model.runner().limits();
        ModelRunner.Limits limits = new ModelRunner.Limits(
                l.maxTokens(),
                l.maxSequences(),
                l.maxModelLen(),
                l.maxScores(),
                l.maxDraws(),
                l.maxExtras(),
                KV_BLOCKS,
                l.blockTokens());
        Tokenizer tokenizer = model.tokenizer();
        int[] text = tokenizer.encode(TEXT, false, false, Integer.MAX_VALUE);
        IdleRunner runner = new IdleRunner(limits, text, stepNanos);
        started.complete(runner);
        return new LoadedModel(
                model.name(),
                model.config(),
                tokenizer,
                model.chatFormat(),
                runner,
                model.device(),
                model.tensorParallel(),
                model.weightBytes(),
                model.kvBytes(),
                model.kvType(),
                model.resources());
    }

    private Process client(int port) throws IOException {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String body = "{\"messages\":[{\"role\":\"user\",\"content\":\"Go on.\"}],\"max_tokens\":" + tokens
                + ",\"ignore_eos\":true,\"temperature\":0,\"stream\":true,\"stream_options\":{\"include_usage\":true}}";
        return new ProcessBuilder(
                        java,
                        "-Xmx128m",
                        "-XX:+UseSerialGC",
                        "-cp",
                        System.getProperty("java.class.path"),
                        StreamCounter.class.getName(),
                        Integer.toString(port),
                        Integer.toString(streams),
                        "/v1/chat/completions",
                        body)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    private static long[] counts(Writer ask, BufferedReader answers) throws IOException {
        ask.write('\n');
        ask.flush();
        String line = answers.readLine();
        if (line == null) {
            throw new IOException("the clients have ended");
        }
        String[] words = line.split(" ", 2);
        return new long[] {Long.parseLong(words[0]), Long.parseLong(words[1])};
    }

    private static Duration cpu(Process process) {
        return process.toHandle().info().totalCpuDuration().orElse(Duration.ZERO);
    }
}
