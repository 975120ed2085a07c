package dev.quire.server.ops;

import dev.quire.scheduler.EngineFacts;
import dev.quire.scheduler.EngineListener;
import dev.quire.scheduler.FinishReason;
import dev.quire.scheduler.Refusal;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;

/**
 * What the engine does, under vLLM's metric names, so that routers, autoscalers and dashboards made for vLLM work
 * unchanged; names that vLLM has since dropped are kept for the routers that still read them. All series exist from the
 * start, at 0. Counters and histograms are written by the engine thread, gauges read when scraped.
 */
public final class EngineMeters implements EngineListener {
    private static final double[] FIRST_TOKEN_SECONDS = {
        .001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560
    };
    private static final double[] NEXT_TOKEN_SECONDS = {
        .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80
    };
    private static final double[] REQUEST_SECONDS = {
        .3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680
    };
    private static final double[] STEP_TOKENS = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
    private static final double[] CHOICES = {1, 2, 5, 10, 20};
    private static final double[] PREEMPTIONS = {1, 2, 3, 4, 5, 10, 20};

    private final MeterRegistry registry;
    private Consumer<RequestStats> finishes = request -> {};
    private final Tags tags;

    private final Counter preemptions;
    private final Counter prefixQueries;
    private final Counter prefixHits;
    private final Counter formerPrefixQueries;
    private final Counter formerPrefixHits;
    private final Counter hostQueries;
    private final Counter hostHits;
    private final Counter swappedOut;
    private final Counter swappedIn;
    private final Counter promptTokens;
    private final Counter promptTokensCached;
    private final Counter promptTokensComputed;
    private final Counter promptTokensFromCache;
    private final Counter promptTokensOnDevice;
    private final Counter generationTokens;
    private final Counter computedTokens;
    private final Counter paddingTokens;
    private final Counter stepSeconds;
    private final Counter deviceSeconds;
    private final Counter kvAllocated;
    private final Counter kvFilled;
    private final Counter drafts;
    private final Counter draftTokens;
    private final Counter acceptedTokens;
    private final Map<FinishReason, Counter> finished = new EnumMap<>(FinishReason.class);
    private final Map<Refusal.Reason, Counter> refused = new EnumMap<>(Refusal.Reason.class);

    private final DistributionSummary stepTokens;
    private final DistributionSummary firstToken;
    private final DistributionSummary nextToken;
    private final DistributionSummary formerNextToken;
    private final DistributionSummary perOutputToken;
    private final DistributionSummary endToEnd;
    private final DistributionSummary queue;
    private final DistributionSummary inference;
    private final DistributionSummary prefill;
    private final DistributionSummary decode;
    private final DistributionSummary requestPrompt;
    private final DistributionSummary requestGeneration;
    private final DistributionSummary requestLongest;
    private final DistributionSummary requestMaxTokens;
    private final DistributionSummary requestComputed;
    private final DistributionSummary requestChoices;
    private final DistributionSummary requestPreemptions;

    /**
     * What the cache looks like to those who route by it.
     *
     * @param blockTokens tokens in a block
     * @param blocks in the pool
     * @param type of the elements
     * @param prefixCaching whether prefixes are shared
     */
    public record CacheFacts(int blockTokens, int blocks, String type, boolean prefixCaching) {}

    /** Registers everything, for a model served under {@code name} with sequences of at most {@code maxModelLen}. */
    EngineMeters(MeterRegistry registry, String name, int maxModelLen, CacheFacts cache) {
        this.registry = registry;
        tags = Tags.of("model_name", name, "engine", "0");
        double[] tokens = oneTwoFive(maxModelLen);

        preemptions = counter("vllm:num_preemptions", "Sequences that gave up their blocks to others");
        prefixQueries = counter("vllm:prefix_cache_queries", "Prompt tokens looked up in the prefix cache");
        prefixHits = counter("vllm:prefix_cache_hits", "Prompt tokens found in the prefix cache");
        formerPrefixQueries = counter("vllm:gpu_prefix_cache_queries", "Former name of vllm:prefix_cache_queries");
        formerPrefixHits = counter("vllm:gpu_prefix_cache_hits", "Former name of vllm:prefix_cache_hits");
        hostQueries = counter("vllm:external_prefix_cache_queries", "Prompt tokens looked up on the host");
        hostHits = counter("vllm:external_prefix_cache_hits", "Prompt tokens found on the host");
        swappedOut = counter("quire:kv_blocks_swapped_out", "KV cache blocks moved to the host");
        swappedIn = counter("quire:kv_blocks_swapped_in", "KV cache blocks moved from the host");
        promptTokens = counter("vllm:prompt_tokens", "Prompt tokens of requests that got a token");
        promptTokensCached = counter("vllm:prompt_tokens_cached", "Of them, those that the prefix cache held");
        promptTokensComputed = bySource("local_compute");
        promptTokensFromCache = bySource("local_cache_hit");
        promptTokensOnDevice = counter(
                "vllm:prompt_tokens_cached_by_source", "Cached prompt tokens by where they were", "source", "device");
        generationTokens = counter("vllm:generation_tokens", "Tokens drawn");
        computedTokens = counter("quire:computed_tokens", "Tokens computed in steps, padding among them");
        paddingTokens = counter("quire:padding_tokens", "Of them computed for nobody; 0 with continuous batching");
        stepSeconds = counter("quire:step_seconds", "Time with a step on the device");
        deviceSeconds = counter("quire:device_seconds", "Time in which the device was at work on a step");
        kvAllocated = counter("quire:kv_slots_allocated", "Positions allocated in the KV cache, summed over steps");
        kvFilled = counter("quire:kv_slots_filled", "Of them those that held keys and values");
        drafts = counter("vllm:spec_decode_num_drafts", "Times a sequence guessed ahead");
        draftTokens = counter("vllm:spec_decode_num_draft_tokens", "Tokens guessed");
        acceptedTokens = counter("vllm:spec_decode_num_accepted_tokens", "Guessed tokens that were right");
        for (FinishReason reason : FinishReason.values()) {
            finished.put(
                    reason,
                    counter(
                            "vllm:request_success",
                            "Requests that ended, by reason",
                            "finished_reason",
                            reason.name().toLowerCase(Locale.ROOT)));
        }
        refused.put(Refusal.Reason.OVERLOADED, rejections(name, "max_num_queued_reqs"));
        refused.put(Refusal.Reason.OVERLOADED_TOKENS, rejections(name, "max_num_queued_tokens"));

        stepTokens = summary("vllm:iteration_tokens_total", "Tokens computed in a step", STEP_TOKENS);
        firstToken = summary("vllm:time_to_first_token_seconds", "Arrival to first token", FIRST_TOKEN_SECONDS);
        nextToken = summary("vllm:inter_token_latency_seconds", "Between tokens of a choice", NEXT_TOKEN_SECONDS);
        formerNextToken = summary(
                "vllm:time_per_output_token_seconds",
                "Former name of vllm:inter_token_latency_seconds",
                NEXT_TOKEN_SECONDS);
        perOutputToken = summary(
                "vllm:request_time_per_output_token_seconds", "Mean gap in a request's output", NEXT_TOKEN_SECONDS);
        endToEnd = summary("vllm:e2e_request_latency_seconds", "Arrival to end", REQUEST_SECONDS);
        queue = summary("vllm:request_queue_time_seconds", "Arrival to first step", REQUEST_SECONDS);
        inference = summary("vllm:request_inference_time_seconds", "First step to end", REQUEST_SECONDS);
        prefill = summary("vllm:request_prefill_time_seconds", "First step to first token", REQUEST_SECONDS);
        decode = summary("vllm:request_decode_time_seconds", "First token to last", REQUEST_SECONDS);
        requestPrompt = summary("vllm:request_prompt_tokens", "Prompt tokens of a request", tokens);
        requestGeneration = summary("vllm:request_generation_tokens", "Tokens drawn for a request", tokens);
        requestLongest = summary("vllm:request_max_num_generation_tokens", "Of its longest choice", tokens);
        requestMaxTokens = summary("vllm:request_params_max_tokens", "max_tokens of a request", tokens);
        requestComputed =
                summary("vllm:request_prefill_kv_computed_tokens", "Prompt tokens not found in the cache", tokens);
        requestChoices = summary("vllm:request_params_n", "n of a request", CHOICES);
        requestPreemptions = summary("vllm:request_num_preemptions", "Preemptions of a request", PREEMPTIONS);
        facts(cache, maxModelLen);
    }

    /** Also tells {@code recorder} of each request that has ended; called before the engine starts. */
    public void record(Consumer<RequestStats> recorder) {
        finishes = recorder;
    }

    /** The gauge of the devices that the model is split over. */
    public void split(int tensorParallel) {
        Gauge.builder("quire:tensor_parallel_size", () -> tensorParallel)
                .description("Devices that the model is split over")
                .tags(tags)
                .register(registry);
    }

    /** The gauges that follow the engine's state. */
    public void follow(Supplier<EngineFacts> engine) {
        gauge("vllm:num_requests_running", "Sequences in the batch", engine, EngineFacts::running);
        gauge("vllm:num_requests_waiting", "Sequences that wait for a place", engine, EngineFacts::waiting);
        gauge("vllm:num_requests_swapped", "Always 0: preempted sequences are recomputed", engine, f -> 0);
        waiting(engine, "capacity", EngineFacts::waiting);
        waiting(engine, "deferred", f -> 0);
        gauge("vllm:kv_cache_usage_perc", "Share of KV blocks held, 0 to 1", engine, EngineMeters::usage);
        gauge("vllm:gpu_cache_usage_perc", "Former name of vllm:kv_cache_usage_perc", engine, EngineMeters::usage);
        sleeping("awake", 1);
        sleeping("weights_offloaded", 0);
        sleeping("discard_all", 0);
        gauge(
                "quire:kv_repairs",
                "Times the KV block counts were wrong and set right; anything but 0 is a bug",
                engine,
                f -> (double) f.kvRepairs());
        gauge("quire:engine_healthy", "1 while the engine serves", engine, f -> f.healthy() ? 1 : 0);
    }

    /** A request was refused; those refused for load are counted. Any thread. */
    public void refused(Refusal.Reason reason) {
        Counter counter = refused.get(reason);
        if (counter != null) {
            counter.increment();
        }
    }

    @Override
    public void onStep(StepStats step) {
        stepTokens.record(step.tokens());
        generationTokens.increment(step.drawnTokens());
        computedTokens.increment(step.tokens());
        paddingTokens.increment(step.paddingTokens());
        stepSeconds.increment(step.nanos() / 1e9);
        deviceSeconds.increment(step.deviceNanos() / 1e9);
        kvAllocated.increment((double) step.kvAllocatedSlots());
        kvFilled.increment((double) step.kvFilledSlots());
        if (step.guessedTokens() > 0) {
            drafts.increment(step.guessingRows());
            draftTokens.increment(step.guessedTokens());
            acceptedTokens.increment(step.acceptedTokens());
        }
        if (step.preemptions() > 0) {
            preemptions.increment(step.preemptions());
        }
        if (step.queriedTokens() > 0) {
            prefixQueries.increment(step.queriedTokens());
            formerPrefixQueries.increment(step.queriedTokens());
            prefixHits.increment(step.cachedTokens());
            formerPrefixHits.increment(step.cachedTokens());
            hostQueries.increment(step.hostQueriedTokens());
            hostHits.increment(step.hostCachedTokens());
        }
        swappedOut.increment(step.swappedOut());
        swappedIn.increment(step.swappedIn());
    }

    @Override
    public void onFirstToken(long nanosSinceArrival) {
        firstToken.record(nanosSinceArrival / 1e9);
    }

    @Override
    public void onNextToken(long nanosSinceLast) {
        double seconds = nanosSinceLast / 1e9;
        nextToken.record(seconds);
        formerNextToken.record(seconds);
    }

    @Override
    public void onFinish(RequestStats request) {
        finishes.accept(request);
        Counter reason = finished.get(request.finish());
        if (reason != null) {
            reason.increment();
        }
        int prompt = request.usage().promptTokens();
        int cached = request.usage().cachedTokens();
        int generated = request.usage().completionTokens();
        if (generated > 0 || request.maxTokens() == 0) {
            promptTokens.increment(prompt);
            promptTokensCached.increment(cached);
            promptTokensFromCache.increment(cached);
            promptTokensOnDevice.increment(cached);
            promptTokensComputed.increment(prompt - cached);
            requestComputed.record(prompt - cached);
            prefill.record(request.prefillNanos() / 1e9);
            decode.record(request.decodeNanos() / 1e9);
        }
        if (request.longestChoice() > 1) {
            perOutputToken.record(request.decodeNanos() / 1e9 / (request.longestChoice() - 1));
        }
        endToEnd.record(request.totalNanos() / 1e9);
        queue.record(request.queueNanos() / 1e9);
        inference.record((request.totalNanos() - request.queueNanos()) / 1e9);
        requestPrompt.record(prompt);
        requestGeneration.record(generated);
        requestLongest.record(request.longestChoice());
        requestMaxTokens.record(request.maxTokens());
        requestChoices.record(request.n());
        requestPreemptions.record(request.preemptions());
    }

    private static double usage(EngineFacts facts) {
        return facts.kvTotalBlocks() == 0 ? 0 : (double) facts.kvUsedBlocks() / facts.kvTotalBlocks();
    }

    private void facts(CacheFacts cache, int maxModelLen) {
        long tokens = (long) cache.blocks() * cache.blockTokens();
        Gauge.builder("vllm:cache_config_info", () -> 1)
                .description("How the KV cache is made, as labels")
                .tags("engine", "0")
                .tags("block_size", Integer.toString(cache.blockTokens()))
                .tags("num_gpu_blocks", Integer.toString(cache.blocks()))
                .tags("cache_dtype", cache.type())
                .tags("enable_prefix_caching", cache.prefixCaching() ? "True" : "False")
                .tags("gpu_memory_utilization", "0")
                .tags("kv_cache_size_tokens", Long.toString(tokens))
                .tags("kv_cache_max_concurrency", String.format(Locale.ROOT, "%.2f", (double) tokens / maxModelLen))
                .register(registry);
        double started = System.currentTimeMillis() / 1000.0;
        Gauge.builder("vllm:lora_requests_info", () -> started)
                .description("Adapters in use: none")
                .tags("engine", "0", "max_lora", "0", "running_lora_adapters", "", "waiting_lora_adapters", "")
                .register(registry);
        Gauge.builder(
                        "vllm:gpu_prefix_cache_hit_rate",
                        () -> prefixQueries.count() == 0 ? 0 : prefixHits.count() / prefixQueries.count())
                .description("Share of looked up prompt tokens that the prefix cache held, 0 to 1")
                .tags(tags)
                .register(registry);
    }

    private void gauge(
            String name, String description, Supplier<EngineFacts> engine, ToDoubleFunction<EngineFacts> value) {
        Gauge.builder(name, () -> value.applyAsDouble(engine.get()))
                .description(description)
                .tags(tags)
                .register(registry);
    }

    private void waiting(Supplier<EngineFacts> engine, String reason, ToDoubleFunction<EngineFacts> value) {
        Gauge.builder("vllm:num_requests_waiting_by_reason", () -> value.applyAsDouble(engine.get()))
                .description("Sequences that wait, by reason")
                .tags(tags)
                .tags("reason", reason)
                .register(registry);
    }

    private Counter counter(String name, String description, String... more) {
        return Counter.builder(name)
                .description(description)
                .tags(tags)
                .tags(more)
                .register(registry);
    }

    private Counter rejections(String name, String reason) {
        return Counter.builder("vllm:admission_rejections")
                .description("Requests refused for load, by the limit that was reached")
                .tags("model_name", name, "reason", reason)
                .register(registry);
    }

    private void sleeping(String state, int value) {
        Gauge.builder("vllm:engine_sleep_state", () -> value)
                .description("1 for the state the engine is in; it never sleeps")
                .tags(tags)
                .tags("sleep_state", state)
                .register(registry);
    }

    private Counter bySource(String source) {
        return counter("vllm:prompt_tokens_by_source", "Prompt tokens by where their KV came from", "source", source);
    }

    private DistributionSummary summary(String name, String description, double[] buckets) {
        return DistributionSummary.builder(name)
                .description(description)
                .serviceLevelObjectives(buckets)
                .tags(tags)
                .register(registry);
    }

    /** 1, 2, 5, 10, 20 … up to {@code most}. */
    private static double[] oneTwoFive(int most) {
        List<Double> series = new ArrayList<>();
        for (double decade = 1; decade <= most; decade *= 10) {
            for (double step : new double[] {1, 2, 5}) {
                if (decade * step <= most) {
                    series.add(decade * step);
                }
            }
        }
        return series.stream().mapToDouble(Double::doubleValue).toArray();
    }
}
