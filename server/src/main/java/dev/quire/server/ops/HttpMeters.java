package dev.quire.server.ops;

import dev.quire.server.http.HttpObserver;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Set;

/**
 * What passes over HTTP. Labels are routes, methods and status classes, so that no client can add a series. Probes and
 * scrapes are not counted.
 */
final class HttpMeters implements HttpObserver {
    private static final Set<String> UNCOUNTED =
            Set.of("/metrics", "/health", "/livez", "/readyz", "/startupz", "/load", "/ping", "/version");
    private static final double[] SECONDS = {.1, .5, 1, 2.5, 5, 10, 30, 60, 120};
    private static final double[] BYTES = {100, 1000, 10_000, 100_000, 1_000_000, 10_000_000};
    private static final double[] FINE_SECONDS = {
        .01, .025, .05, .075, .1, .25, .5, .75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60
    };
    private final MeterRegistry registry;
    private final DistributionSummary fine;

    HttpMeters(MeterRegistry registry) {
        this.registry = registry;
        fine = DistributionSummary.builder("http_request_duration_highr_seconds")
                .description("of all HTTP requests together, in fine steps")
                .serviceLevelObjectives(FINE_SECONDS)
                .register(registry);
        record(new Finished("POST", "/v1/completions", 200, 0, 0, 0), false);
    }

    @Override
    public void finished(Finished event) {
        if (!UNCOUNTED.contains(event.handler())) {
            record(event, true);
        }
    }

    private void record(Finished event, boolean happened) {
        Counter counter = Counter.builder("http_requests")
                .description("HTTP requests answered")
                .tags("method", event.method(), "status", event.status() / 100 + "xx", "handler", event.handler())
                .register(registry);
        DistributionSummary duration = summary("http_request_duration_seconds", event, SECONDS);
        DistributionSummary request = summary("http_request_size_bytes", event, BYTES);
        DistributionSummary response = summary("http_response_size_bytes", event, BYTES);
        if (happened) {
            counter.increment();
            duration.record(event.nanos() / 1e9);
            fine.record(event.nanos() / 1e9);
            request.record((double) event.requestBytes());
            response.record((double) event.responseBytes());
        }
    }

    private DistributionSummary summary(String name, Finished event, double[] buckets) {
        return DistributionSummary.builder(name)
                .description("of HTTP requests, by route")
                .tags("method", event.method(), "handler", event.handler())
                .serviceLevelObjectives(buckets)
                .register(registry);
    }
}
