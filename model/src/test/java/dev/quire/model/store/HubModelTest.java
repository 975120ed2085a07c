package dev.quire.model.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HubModelTest {
    private static final byte[] WEIGHTS = new byte[300_000];

    static {
        new Random(7).nextBytes(WEIGHTS);
    }

    private Path cache;

    private FakeHub hub;

    @BeforeEach
    void start(@TempDir Path empty) throws IOException {
        cache = empty;
        hub = new FakeHub();
    }

    @AfterEach
    void stop() {
        hub.close();
    }

    private ModelStore store(boolean offline, String... variables) {
        Map<String, String> environment = new HashMap<>(Map.of("HF_ENDPOINT", hub.address() + "/"));
        for (int i = 0; i < variables.length; i += 2) {
            environment.put(variables[i], variables[i + 1]);
        }
        ModelStore.Patience patience =
                new ModelStore.Patience(Duration.ofSeconds(10), Duration.ofSeconds(10), Duration.ZERO);
        return new ModelStore(cache, environment, offline, DownloadProgress.NONE, PinnedModel.DEFAULT, patience);
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private void safetensorsRepository() {
        hub.with("config.json", text("{}"))
                .with("tokenizer.json", text("{ }"))
                .with("model.safetensors", WEIGHTS)
                .with("consolidated.safetensors", WEIGHTS)
                .with("README.md", text("words"))
                .with("pytorch_model.bin", text("pickle"));
    }

    @Test
    void aSafetensorsRepositoryBecomesAFolderOfWhatTheLoaderReads() throws IOException {
        safetensorsRepository();
        Path folder = store(false).resolve("org/name");
        try (Stream<Path> entries = Files.list(folder)) {
            assertThat(entries.map(entry -> entry.getFileName().toString())
                            .filter(name -> !name.startsWith(".") && !name.endsWith(".sha256")))
                    .containsExactlyInAnyOrder("config.json", "tokenizer.json", "model.safetensors");
        }
        assertThat(folder.resolve("model.safetensors")).hasBinaryContent(WEIGHTS);
    }

    @Test
    void aSecondStartOfflineUsesTheSnapshotWithoutARequest() {
        safetensorsRepository();
        Path folder = store(false).resolve("org/name");
        int before = hub.requests.size();
        assertThat(store(true).resolve("org/name")).isEqualTo(folder);
        assertThat(hub.requests).hasSize(before);
    }

    @Test
    void aHubThatIsDownDoesNotStopAModelThatIsInTheCache() {
        safetensorsRepository();
        Path folder = store(false).resolve("org/name");
        hub.status = 503;
        assertThat(store(false).resolve("org/name")).isEqualTo(folder);
    }

    @Test
    void offlineWithoutASnapshotSaysWhatToDo() {
        assertThatThrownBy(() -> store(true).resolve("org/name"))
                .isInstanceOf(ModelStoreException.class)
                .hasMessageContaining("offline")
                .hasMessageContaining("copy");
        assertThat(hub.requests).isEmpty();
    }

    @Test
    void aCutConnectionIsTakenUpWhereItEnded() {
        hub.with("m.gguf", WEIGHTS).cutAfter("m.gguf", 100_000);
        assertThat(store(false).resolve("org/name")).hasBinaryContent(WEIGHTS).hasFileName("m.gguf");
        assertThat(hub.requests)
                .filteredOn(line -> line.contains("/resolve/"))
                .hasSize(2)
                .last()
                .asString()
                .contains("bytes=100000-");
    }

    @Test
    void whatAnEarlierProcessLeftIsTakenUp() throws IOException {
        hub.with("m.gguf", WEIGHTS);
        Path snapshot = cache.resolve("hub/models--org--name/snapshots/" + FakeHub.COMMIT);
        Files.createDirectories(snapshot);
        Files.write(snapshot.resolve("m.gguf.part"), java.util.Arrays.copyOf(WEIGHTS, 1234));
        assertThat(store(false).resolve("org/name")).hasBinaryContent(WEIGHTS);
        assertThat(hub.requests).last().asString().contains("bytes=1234-");
    }

    @Test
    void aDamagedFileIsRefusedAndNotKept() {
        hub.with("m.gguf", WEIGHTS).announce("m.gguf", "a".repeat(64));
        assertThatThrownBy(() -> store(false).resolve("org/name"))
                .isInstanceOf(ModelStoreException.class)
                .hasMessageContaining("damaged");
        Path snapshot = cache.resolve("hub/models--org--name/snapshots/" + FakeHub.COMMIT);
        assertThat(snapshot).isEmptyDirectory();
    }

    @ParameterizedTest
    @CsvSource({"401, HF_TOKEN", "403, HF_TOKEN", "404, not found", "407, HTTPS_PROXY"})
    void aRefusalOfTheHubSaysWhatToDo(int status, String remedy) {
        hub.status = status;
        assertThatThrownBy(() -> store(false).resolve("org/name"))
                .isInstanceOf(ModelStoreException.class)
                .hasMessageContaining(remedy);
    }

    @Test
    void theTokenGoesToTheHubAndNotWhereItRedirects() throws IOException {
        try (FakeHub front = new FakeHub()) {
            hub.with("m.gguf", WEIGHTS);
            front.redirectTo = hub.address();
            store(false, "HF_ENDPOINT", front.address(), "HF_TOKEN", "secret").resolve("org/name");
            assertThat(front.requests).allMatch(line -> line.endsWith("Bearer secret"));
            assertThat(hub.requests).isNotEmpty().noneMatch(line -> line.contains("secret"));
        }
    }

    @Test
    void severalGgufFilesAreListedAndOneCanBeNamed() {
        hub.with("a.gguf", text("a")).with("b.gguf", WEIGHTS);
        assertThatThrownBy(() -> store(false).resolve("org/name"))
                .isInstanceOf(ModelStoreException.class)
                .hasMessageContaining("a.gguf, b.gguf");
        assertThat(store(false).resolve("org/name@main:b.gguf")).hasBinaryContent(WEIGHTS);
        assertThat(hub.fileRequests()).isEqualTo(1);
    }

    @Test
    void aFileNameThatLeavesTheFolderIsNotFetched() {
        hub.with("../../evil.gguf", text("x"));
        assertThatThrownBy(() -> store(false).resolve("org/name"))
                .isInstanceOf(ModelStoreException.class)
                .hasMessageContaining("neither .safetensors nor .gguf");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "nothing-here", "models/missing.gguf", "../../x", "a/b/c", "org/na..me", "/no/such/folder"})
    void whatIsNeitherAPathNorAHubIdIsRefusedWithoutARequest(String model) {
        assertThatThrownBy(() -> store(false).resolve(model))
                .isInstanceOf(ModelStoreException.class)
                .hasMessageContaining("org/name");
        assertThat(hub.requests).isEmpty();
    }

    @Test
    void anExistingPathIsItself() {
        assertThat(store(true).resolve(cache.toString())).isEqualTo(cache);
    }
}
