package dev.quire.server.ops;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.scheduler.EngineFacts;
import dev.quire.scheduler.EngineListener.RequestStats;
import dev.quire.scheduler.EngineListener.StepStats;
import dev.quire.scheduler.FinishReason;
import dev.quire.scheduler.Refusal;
import dev.quire.scheduler.Usage;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The series that routers, autoscalers and dashboards for vLLM look for. */
class EngineMetersTest {
    private static final String OF = "{engine=\"0\",model_name=\"a \\\"name\\\"\"";

    private final Meters meters = new Meters();
    private final EngineMeters engine =
            meters.engine("a \"name\"", 2048, new EngineMeters.CacheFacts(16, 100, "bf16", true));
    private volatile EngineFacts facts = new EngineFacts(EngineFacts.State.RUNNING, 0, 0, 0, 0, 100, 0, 0, 0, "");

    EngineMetersTest() {
        engine.follow(() -> facts);
    }

    @AfterEach
    void stop() {
        meters.close();
    }

    private List<String> lines() {
        return new String(meters.text(), StandardCharsets.UTF_8).lines().toList();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "num_requests_running",
                "num_requests_waiting",
                "num_requests_waiting_by_reason|reason=\"capacity\"",
                "num_requests_waiting_by_reason|reason=\"deferred\"",
                "num_requests_swapped",
                "kv_cache_usage_perc",
                "gpu_cache_usage_perc",
                "gpu_prefix_cache_hit_rate",
                "engine_sleep_state|sleep_state=\"discard_all\"",
                "prefix_cache_queries_total",
                "prefix_cache_hits_total",
                "gpu_prefix_cache_queries_total",
                "gpu_prefix_cache_hits_total",
                "num_preemptions_total",
                "prompt_tokens_total",
                "generation_tokens_total",
                "spec_decode_num_drafts_total",
                "spec_decode_num_draft_tokens_total",
                "spec_decode_num_accepted_tokens_total",
                "prompt_tokens_by_source_total|source=\"local_compute\"",
                "prompt_tokens_by_source_total|source=\"local_cache_hit\"",
                "prompt_tokens_cached_total",
                "prompt_tokens_cached_by_source_total|source=\"device\"",
                "request_success_total|finished_reason=\"stop\"",
                "request_success_total|finished_reason=\"length\"",
                "request_success_total|finished_reason=\"abort\"",
                "request_success_total|finished_reason=\"error\""
            })
    void gaugesAndCountersAreThereAtZeroBeforeTheFirstRequest(String series) {
        String[] parts = series.split("\\|", 2);
        assertThat(lines())
                .anySatisfy(line -> assertThat(line)
                        .startsWith("vllm:" + parts[0] + "{")
                        .contains("engine=\"0\"", "model_name=\"a \\\"name\\\"\"", parts.length > 1 ? parts[1] : "")
                        .endsWith("} 0.0"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "time_to_first_token_seconds|0.001|2560.0",
                "inter_token_latency_seconds|0.01|80.0",
                "time_per_output_token_seconds|0.01|80.0",
                "request_time_per_output_token_seconds|0.01|80.0",
                "e2e_request_latency_seconds|0.3|7680.0",
                "request_queue_time_seconds|0.3|7680.0",
                "request_inference_time_seconds|0.3|7680.0",
                "request_prefill_time_seconds|0.3|7680.0",
                "request_decode_time_seconds|0.3|7680.0",
                "request_prompt_tokens|1.0|2000.0",
                "request_generation_tokens|1.0|2000.0",
                "request_max_num_generation_tokens|1.0|2000.0",
                "request_params_max_tokens|1.0|2000.0",
                "request_prefill_kv_computed_tokens|1.0|2000.0",
                "iteration_tokens_total|1.0|16384.0",
                "request_params_n|1.0|20.0",
                "request_num_preemptions|1.0|20.0"
            })
    void histogramsAreThereAtZeroWithTheBucketsOfTheDashboards(String series) {
        String[] parts = series.split("\\|", -1);
        String name = "vllm:" + parts[0];
        assertThat(lines())
                .contains(
                        "# TYPE " + name + " histogram",
                        name + "_bucket" + OF + ",le=\"" + parts[1] + "\"} 0",
                        name + "_bucket" + OF + ",le=\"" + parts[2] + "\"} 0",
                        name + "_bucket" + OF + ",le=\"+Inf\"} 0",
                        name + "_count" + OF + "} 0",
                        name + "_sum" + OF + "} 0.0");
    }

    @Test
    void theCacheIsDescribedByLabelsAndNeverByTheModel() {
        assertThat(lines())
                .filteredOn(line -> line.startsWith("vllm:cache_config_info{"))
                .singleElement()
                .asString()
                .contains(
                        "block_size=\"16\"",
                        "num_gpu_blocks=\"100\"",
                        "cache_dtype=\"bf16\"",
                        "enable_prefix_caching=\"True\"",
                        "kv_cache_size_tokens=\"1600\"",
                        "kv_cache_max_concurrency=\"0.78\"",
                        "engine=\"0\"")
                .doesNotContain("model_name")
                .endsWith("} 1.0");
        assertThat(lines()).anyMatch(line -> line.startsWith("vllm:lora_requests_info{"));
        assertThat(lines()).anyMatch(line -> line.contains("sleep_state=\"awake\"") && line.endsWith(" 1.0"));
    }

    @Test
    void refusalsAreCountedByTheLimitThatWasReached() {
        engine.refused(Refusal.Reason.OVERLOADED);
        engine.refused(Refusal.Reason.OVERLOADED);
        engine.refused(Refusal.Reason.OVERLOADED_TOKENS);
        engine.refused(Refusal.Reason.TOO_LONG);
        String refused = "vllm:admission_rejections_total{model_name=\"a \\\"name\\\"\",reason=";
        assertThat(lines())
                .contains(refused + "\"max_num_queued_reqs\"} 2.0", refused + "\"max_num_queued_tokens\"} 1.0");
    }

    @Test
    void stepsAndRequestsAreCounted() {
        engine.onStep(new StepStats(
                2, 3, 2, 40, 28, 10, 5, 1, 5, 3, 5, 100, 80, 75, 1, 64, 32, 32, 16, 7, 5, 1_000_000, 900_000));
        engine.onFirstToken(50_000_000);
        engine.onNextToken(20_000_000);
        engine.onFinish(new RequestStats(
                2,
                9,
                7,
                new Usage(38, 12, 32),
                1,
                100_000_000,
                200_000_000,
                1_500_000_000,
                300_000_000,
                900_000_000,
                FinishReason.LENGTH));
        facts = new EngineFacts(EngineFacts.State.RUNNING, 2, 3, 5, 25, 100, 1, 0, 0, "");
        assertThat(lines())
                .contains(
                        "vllm:num_requests_running" + OF + "} 2.0",
                        "vllm:num_requests_waiting" + OF + "} 3.0",
                        "vllm:kv_cache_usage_perc" + OF + "} 0.25",
                        "vllm:generation_tokens_total" + OF + "} 5.0",
                        "vllm:spec_decode_num_drafts_total" + OF + "} 1.0",
                        "vllm:spec_decode_num_draft_tokens_total" + OF + "} 5.0",
                        "vllm:spec_decode_num_accepted_tokens_total" + OF + "} 3.0",
                        "quire:computed_tokens_total" + OF + "} 40.0",
                        "quire:padding_tokens_total" + OF + "} 10.0",
                        "quire:step_seconds_total" + OF + "} 0.001",
                        "quire:device_seconds_total" + OF + "} 9.0E-4",
                        "quire:kv_slots_allocated_total" + OF + "} 80.0",
                        "quire:kv_slots_filled_total" + OF + "} 75.0",
                        "vllm:num_preemptions_total" + OF + "} 1.0",
                        "vllm:prefix_cache_queries_total" + OF + "} 64.0",
                        "vllm:prefix_cache_hits_total" + OF + "} 32.0",
                        "vllm:gpu_prefix_cache_hit_rate" + OF + "} 0.5",
                        "vllm:external_prefix_cache_queries_total" + OF + "} 32.0",
                        "vllm:external_prefix_cache_hits_total" + OF + "} 16.0",
                        "quire:kv_blocks_swapped_out_total" + OF + "} 7.0",
                        "quire:kv_blocks_swapped_in_total" + OF + "} 5.0",
                        "vllm:prompt_tokens_total" + OF + "} 38.0",
                        "vllm:prompt_tokens_cached_total" + OF + "} 32.0",
                        "vllm:iteration_tokens_total_sum" + OF + "} 40.0",
                        "vllm:time_to_first_token_seconds_sum" + OF + "} 0.05",
                        "vllm:inter_token_latency_seconds_sum" + OF + "} 0.02",
                        "vllm:request_time_per_output_token_seconds_sum" + OF + "} 0.25",
                        "vllm:e2e_request_latency_seconds_sum" + OF + "} 0.9",
                        "vllm:request_queue_time_seconds_sum" + OF + "} 0.1",
                        "vllm:request_inference_time_seconds_sum" + OF + "} 0.8",
                        "vllm:request_generation_tokens_sum" + OF + "} 12.0",
                        "vllm:request_max_num_generation_tokens_sum" + OF + "} 7.0",
                        "vllm:request_params_n_sum" + OF + "} 2.0",
                        "vllm:request_success_total{engine=\"0\",finished_reason=\"length\",model_name=\"a \\\"name\\\"\"} 1.0");
    }
}
