package dev.quire.kvcache.planted;

import dev.quire.kernels.DType;
import dev.quire.scheduler.Usage;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.buffer.ByteBuf;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** Breaks every border at once, so that a test can see each rule fail. */
final class PlantedHelper {
    @Nullable
    MemorySegment memory;

    @Nullable
    DType type;

    @Nullable
    ByteBuf buffer;

    @Nullable
    MeterRegistry registry;

    @Nullable
    Usage usage;

    synchronized int locked() {
        return hashCode();
    }
}
