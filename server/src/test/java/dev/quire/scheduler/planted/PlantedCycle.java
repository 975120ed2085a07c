package dev.quire.scheduler.planted;

import dev.quire.server.planted.PlantedReach;
import org.jspecify.annotations.Nullable;

/** One half of a cycle. */
public final class PlantedCycle {
    @Nullable
    PlantedReach other;
}
