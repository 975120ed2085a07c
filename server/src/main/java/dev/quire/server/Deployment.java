package dev.quire.server;

import dev.quire.model.LoadedModel;
import dev.quire.model.Progress;
import dev.quire.scheduler.Engine;
import dev.quire.scheduler.EngineConfig;
import dev.quire.scheduler.FcfsPolicy;
import dev.quire.scheduler.PriorityPolicy;
import dev.quire.scheduler.Refusal;
import dev.quire.scheduler.RequestLevelPolicy;
import dev.quire.scheduler.SchedulingPolicy;
import dev.quire.scheduler.TextEngine;
import dev.quire.scheduler.TextRequest;
import dev.quire.server.openai.ServedModel;
import dev.quire.server.openai.TextSource;
import dev.quire.server.ops.ArrivalRecorder;
import dev.quire.server.ops.EngineMeters;
import dev.quire.server.ops.Meters;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A loaded model and the engine that runs it.
 *
 * @param served what the endpoints see of it
 * @param arrivals notes when requests come; null when nobody wants to know
 */
record Deployment(
        LoadedModel model,
        Engine engine,
        ServedModel served,
        @Nullable ArrivalRecorder arrivals) implements AutoCloseable {
    private static final int MAX_LOGPROBS = 20;
    private static final int MAX_CHOICES = 1024;
    private static final Duration STATIC_QUIET = Duration.ofMillis(100);
    private static final Duration DYNAMIC_WINDOW = Duration.ofMillis(5);

    /**
     * Loads the model's files and starts an engine.
     *
     * @throws RuntimeException as {@link dev.quire.model.ModelLoader#load} says
     */
    static Deployment start(ServerConfig config, ModelSource models, Path files, Meters all, Progress progress) {
        LoadedModel model = models.load(files, config.load(), progress);
        ArrivalRecorder arrivals = null;
        boolean started = false;
        try {
            List<String> names = names(config, model.name());
            EngineMeters meters = meters(config, model, names.getFirst(), all);
            meters.split(model.tensorParallel());
            arrivals = recorder(config);
            if (arrivals != null) {
                meters.record(arrivals);
            }
            Engine engine = Engine.start(model, engineConfig(config), policy(config), meters);
            meters.follow(engine::facts);
            started = true;
            return new Deployment(model, engine, served(config, model, names, engine, meters), arrivals);
        } finally {
            if (!started) {
                model.close();
                close(arrivals);
            }
        }
    }

    /** What clients may call the model: what was configured, else what the user called it and the file's name. */
    private static List<String> names(ServerConfig config, String fileName) {
        if (!config.servedModelNames().isEmpty()) {
            return config.servedModelNames();
        }
        String asked = config.model();
        Set<String> names = new LinkedHashSet<>();
        if (asked != null && !asked.equals("default")) {
            names.add(asked);
        }
        names.add(fileName);
        return List.copyOf(names);
    }

    private static @Nullable ArrivalRecorder recorder(ServerConfig config) {
        Path file = config.recordArrivals();
        if (file == null) {
            return null;
        }
        try {
            return ArrivalRecorder.open(file, InstantSource.system());
        } catch (IOException e) {
            throw new IllegalArgumentException("--record-arrivals: cannot write " + file + ": " + e, e);
        }
    }

    private static void close(@Nullable ArrivalRecorder arrivals) {
        if (arrivals != null) {
            arrivals.close();
        }
    }

    private static EngineMeters meters(ServerConfig config, LoadedModel model, String name, Meters all) {
        var limits = model.runner().limits();
        return all.engine(
                name,
                limits.maxModelLen(),
                new EngineMeters.CacheFacts(
                        limits.blockTokens(),
                        limits.kvBlocks(),
                        model.kvType(),
                        config.engine().prefixCaching()));
    }

    private static EngineConfig engineConfig(ServerConfig config) {
        ServerConfig.Scheduling asked = config.engine();
        return new EngineConfig.Builder()
                .step(config.load().maxBatchedTokens(), config.load().maxSequences())
                .queue(asked.maxQueuedRequests(), asked.maxQueuedTokens())
                .prefixCaching(asked.prefixCaching())
                .speculation(asked.speculation())
                .slowReader(config.edge().clientTimeout())
                .build();
    }

    private static SchedulingPolicy policy(ServerConfig config) {
        return switch (config.engine().batching()) {
            case STATIC -> RequestLevelPolicy.fixed(STATIC_QUIET, System::nanoTime);
            case DYNAMIC -> RequestLevelPolicy.dynamic(DYNAMIC_WINDOW, System::nanoTime);
            case CONTINUOUS ->
                switch (config.engine().policy()) {
                    case FCFS -> new FcfsPolicy();
                    case PRIORITY -> new PriorityPolicy();
                };
        };
    }

    private static ServedModel served(
            ServerConfig config, LoadedModel model, List<String> names, Engine engine, EngineMeters meters) {
        TextEngine texts = new TextEngine(engine, model.tokenizer());
        String root = config.model();
        return new ServedModel(
                names,
                root == null ? model.name() : root,
                System.currentTimeMillis() / 1000,
                engine.maxLength(),
                MAX_LOGPROBS,
                Math.min(MAX_CHOICES, config.engine().maxQueuedRequests()),
                model.tokenizer(),
                model.chatFormat(),
                request -> start(texts, meters, request),
                () -> engine.facts().healthy());
    }

    private static TextSource.Start start(TextEngine texts, EngineMeters meters, TextRequest request) {
        return switch (texts.start(request)) {
            case TextEngine.Start.Started(var stream) -> new TextSource.Start.Started(stream);
            case TextEngine.Start.Refused(Refusal refusal) -> {
                meters.refused(refusal.reason());
                yield new TextSource.Start.Refused(refusal);
            }
        };
    }

    /** Ends what runs with an error, then frees the model. */
    @Override
    public void close() {
        engine.close();
        close(arrivals);
        model.close();
    }
}
