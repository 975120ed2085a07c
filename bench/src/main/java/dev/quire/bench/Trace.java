package dev.quire.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/** Arrivals that a server recorded: when requests came and how long they were, one JSON object per line. */
record Trace(List<Arrival> arrivals) {
    private static final int MAX_ARRIVALS = 1_000_000;
    private static final int MAX_TOKENS = 1 << 20;

    /** One request; its time counts from any zero. */
    record Arrival(long atMs, int promptTokens, int outputTokens) {
        Lengths lengths() {
            return new Lengths(0, promptTokens, outputTokens);
        }
    }

    /**
     * Reads a trace; its lines may be in any order.
     *
     * @throws IllegalArgumentException when a line is not an arrival, naming it
     */
    static Trace read(Path file) throws IOException {
        List<Arrival> arrivals = new ArrayList<>();
        try (BufferedReader lines = Files.newBufferedReader(file)) {
            int number = 1;
            for (String line = lines.readLine(); line != null; line = lines.readLine(), number++) {
                if (line.isBlank()) {
                    continue;
                }
                if (arrivals.size() == MAX_ARRIVALS) {
                    throw new IllegalArgumentException(file + " has more than " + MAX_ARRIVALS + " requests");
                }
                arrivals.add(arrival(line, file + ", line " + number));
            }
        }
        if (arrivals.isEmpty()) {
            throw new IllegalArgumentException(file + " has no requests");
        }
        arrivals.sort(Comparator.comparingLong(Arrival::atMs));
        return new Trace(List.copyOf(arrivals));
    }

    private static Arrival arrival(String line, String where) {
        JsonNode object = parse(line);
        if (object == null || !object.isObject()) {
            throw new IllegalArgumentException(
                    where + ": not {\"at_ms\":..,\"prompt_tokens\":..,\"output_tokens\":..}");
        }
        return new Arrival(
                number(object, "at_ms", 0, 1L << 52, where),
                (int) number(object, "prompt_tokens", 1, MAX_TOKENS, where),
                (int) number(object, "output_tokens", 1, MAX_TOKENS, where));
    }

    private static @Nullable JsonNode parse(String line) {
        try {
            return Json.parse(line);
        } catch (JacksonException e) {
            return null;
        }
    }

    private static long number(JsonNode object, String name, long least, long most, String where) {
        JsonNode value = object.path(name);
        if (!value.isIntegralNumber() || !value.canConvertToLong() || value.asLong() < least || value.asLong() > most) {
            throw new IllegalArgumentException(
                    where + ": " + name + " is " + (value.isMissingNode() ? "missing" : value)
                            + ", allowed: whole numbers from " + least + " to " + most);
        }
        return value.asLong();
    }
}
