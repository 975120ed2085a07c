package dev.quire.scheduler;

import java.util.function.LongSupplier;

/** Time that passes only when told to. */
final class ManualClock implements LongSupplier {
    private long nanos = 1_000_000;

    void advance(long nanos) {
        this.nanos += nanos;
    }

    @Override
    public long getAsLong() {
        return nanos;
    }
}
