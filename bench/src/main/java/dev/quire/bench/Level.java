package dev.quire.bench;

import java.util.Locale;

/**
 * How hard the load presses.
 *
 * @param value clients at once, requests per second, or how many times as fast as the trace
 */
record Level(Kind kind, double value) {
    /** What the value is. */
    enum Kind {
        /** Clients at once, each with its next request when the last has ended. */
        CONCURRENCY("clients"),
        /** Requests per second, at random times. */
        RATE("req/s"),
        /** The times of a trace. */
        SPEED("x trace");

        private final String unit;

        Kind(String unit) {
            this.unit = unit;
        }

        String unit() {
            return unit;
        }

        String key() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    static Level clients(int clients) {
        return new Level(Kind.CONCURRENCY, clients);
    }

    /** The value as people write it. */
    String number() {
        return value == Math.rint(value) ? Long.toString((long) value) : Double.toString(value);
    }

    @Override
    public String toString() {
        return equals(clients(1)) ? "1 client" : number() + " " + kind.unit();
    }
}
