package dev.quire.server.ops;

import dev.quire.server.http.HttpObserver;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.config.NamingConvention;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** All metrics of a server, and their text for {@code /metrics}. Any thread. */
public final class Meters implements AutoCloseable {
    /** What {@link #text} is. */
    static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

    private final PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);

    /** No metrics yet. */
    public Meters() {
        registry.config().namingConvention(new AsGiven());
    }

    /** Counts what passes over HTTP from now on. */
    public HttpObserver http() {
        return new HttpMeters(registry);
    }

    /** Counts what an engine does, for a model served under {@code name} with sequences of at most so many tokens. */
    public EngineMeters engine(String name, int maxModelLen, EngineMeters.CacheFacts cache) {
        return new EngineMeters(registry, name, maxModelLen, cache);
    }

    /** All series in Prometheus' text format. */
    byte[] text() {
        return registry.scrape(CONTENT_TYPE).getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        registry.close();
    }

    /** Names are written as given: the default convention cuts {@code _info} and {@code _total} off. */
    private static final class AsGiven implements NamingConvention {
        @Override
        public String name(String name, Meter.Type type, @Nullable String baseUnit) {
            return name;
        }

        @Override
        public String tagKey(String key) {
            return key;
        }

        @Override
        public String tagValue(String value) {
            return value;
        }
    }
}
