package dev.quire.server.planted;

import dev.quire.kernels.Backend;
import dev.quire.scheduler.planted.PlantedCycle;
import org.jspecify.annotations.Nullable;

/** The other half of a cycle; reaches past the scheduler too. */
public final class PlantedReach {
    @Nullable
    PlantedCycle other;

    @Nullable
    Backend backend;
}
