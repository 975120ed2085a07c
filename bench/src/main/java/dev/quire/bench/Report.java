package dev.quire.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A result as it is written; {@link Result} reads it back.
 *
 * @param label name of the server
 * @param server what else is known of it
 * @param flags of the bench and their values
 */
record Report(String label, Map<String, Object> server, Map<String, String> flags, List<Measured> levels) {
    void write(Path file) throws IOException {
        Files.writeString(file, Json.write(json()) + "\n");
    }

    private Map<String, Object> json() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("schema", Result.SCHEMA);
        map.put("label", label);
        map.put("time", Instant.now().toString());
        map.put("server", server);
        map.put("flags", flags);
        map.put("commit", Machine.commit(OwnServer.home()));
        map.put("machine", Machine.read().json());
        map.put("levels", levels.stream().map(Measured::json).toList());
        return map;
    }
}
