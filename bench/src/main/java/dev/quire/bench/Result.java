package dev.quire.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * What is read back from a result that was written as JSON.
 *
 * @param label name of the server
 */
record Result(String label, List<Summary> levels) {
    /** Version of the JSON; goes up when the meaning of a field changes. */
    static final String SCHEMA = "quire-bench/1";

    /**
     * Reads a file that {@code --json} wrote.
     *
     * @throws IllegalArgumentException when it is something else
     */
    static Result read(Path file) throws IOException {
        JsonNode root;
        try {
            root = Json.parse(Files.readString(file));
        } catch (JacksonException e) {
            throw new IllegalArgumentException(file + " is not JSON", e);
        }
        String schema = root.path("schema").asString("missing");
        if (!schema.equals(SCHEMA)) {
            throw new IllegalArgumentException(file + ": schema is " + schema + ", allowed: " + SCHEMA);
        }
        List<Summary> levels = new ArrayList<>();
        for (JsonNode level : root.path("levels")) {
            levels.add(summary(level, file));
        }
        String label = root.path("label").asString("");
        return new Result(label.isEmpty() ? file.getFileName().toString() : label, List.copyOf(levels));
    }

    /** The level with that title. */
    Optional<Summary> level(String title) {
        return levels.stream().filter(level -> level.title().equals(title)).findFirst();
    }

    private static Summary summary(JsonNode level, Path file) {
        String kind = level.path("kind").asString("");
        for (Level.Kind known : Level.Kind.values()) {
            if (known.key().equals(kind)) {
                return new Summary(
                        level.path("workload").asString(""),
                        new Level(known, level.path("level").asDouble()),
                        values(level.path("median")),
                        values(level.path("spread")),
                        level.path("failures").asInt());
            }
        }
        throw new IllegalArgumentException(file + ": kind of a level is '" + kind + "'");
    }

    private static Map<Metric, Double> values(JsonNode object) {
        Map<Metric, Double> values = new EnumMap<>(Metric.class);
        for (Metric metric : Metric.values()) {
            if (object.path(metric.key()).isNumber()) {
                values.put(metric, object.path(metric.key()).asDouble());
            }
        }
        return values;
    }
}
