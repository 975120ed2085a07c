package dev.quire.server.ops;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.config.NamingConvention;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import org.jspecify.annotations.Nullable;

/** The registry behind {@code /metrics}. Names are written as given: the default convention cuts
 * {@code _info} and {@code _total} off. */
public final class Meters {
    private Meters() {}

    /** A registry that keeps names. */
    public static PrometheusMeterRegistry registry() {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        registry.config().namingConvention(new AsGiven());
        return registry;
    }

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
