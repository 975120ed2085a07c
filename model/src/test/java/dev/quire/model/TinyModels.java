package dev.quire.model;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The tiny random models of {@code make_tiny.py} and what the reference implementation says of them. */
final class TinyModels {
    /** @param logits of each position of the prompt */
    record Case(int[] prompt, List<float[]> logits, int[] greedy) {}

    /** A prompt after which no choice of a greedy token is close. */
    record Clear(int[] prompt, int[] greedy) {}

    private TinyModels() {}

    static Path folder(String name) {
        URL url = Objects.requireNonNull(TinyModels.class.getResource("/tiny/" + name), name);
        try {
            return Path.of(url.toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    static List<String> names() {
        try (Stream<Path> folders = Files.list(folder(""))) {
            return folders.map(f -> f.getFileName().toString()).sorted().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static List<Case> cases(String name) {
        JsonNode golden = JsonMapper.shared().readTree(folder(name).resolve("golden.json"));
        int vocab = golden.path("vocab").intValue();
        List<Case> cases = new ArrayList<>();
        for (JsonNode c : golden.path("cases")) {
            cases.add(new Case(
                    ints(c.path("prompt")), rows(c.path("logits").stringValue(), vocab), ints(c.path("greedy"))));
        }
        return cases;
    }

    /** Those for which {@link #logitsOfCodes} is there. */
    static List<String> namesWithCodes() {
        return namesWith("golden_codes.json");
    }

    /** Those for which {@link #clear} is there. */
    static List<String> namesWithClearPrompts() {
        return namesWith("golden_clear.json");
    }

    private static List<String> namesWith(String file) {
        return names().stream()
                .filter(name -> Files.exists(folder(name).resolve(file)))
                .toList();
    }

    static List<Clear> clear(String name) {
        List<Clear> cases = new ArrayList<>();
        for (JsonNode c : JsonMapper.shared()
                .readTree(folder(name).resolve("golden_clear.json"))
                .path("cases")) {
            cases.add(new Clear(ints(c.path("prompt")), ints(c.path("greedy"))));
        }
        return cases;
    }

    /** What the reference says of the last case's prompt with a cache of int8 or fp8. */
    static List<float[]> logitsOfCodes(String name, String kvType) {
        int vocab = JsonMapper.shared()
                .readTree(folder(name).resolve("golden.json"))
                .path("vocab")
                .intValue();
        JsonNode golden = JsonMapper.shared().readTree(folder(name).resolve("golden_codes.json"));
        return rows(golden.path(kvType).stringValue(), vocab);
    }

    private static int[] ints(JsonNode array) {
        int[] values = new int[array.size()];
        Arrays.setAll(values, i -> array.get(i).intValue());
        return values;
    }

    private static List<float[]> rows(String base64, int vocab) {
        ByteBuffer bytes = ByteBuffer.wrap(Base64.getDecoder().decode(base64)).order(ByteOrder.LITTLE_ENDIAN);
        List<float[]> rows = new ArrayList<>();
        while (bytes.hasRemaining()) {
            float[] row = new float[vocab];
            for (int i = 0; i < vocab; i++) {
                row[i] = bytes.getFloat();
            }
            rows.add(row);
        }
        return rows;
    }
}
