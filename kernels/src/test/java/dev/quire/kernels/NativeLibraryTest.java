package dev.quire.kernels;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLibraryTest {
    private static final byte[] CONTENT = "not really a library".getBytes(UTF_8);

    @TempDir
    private Path folder = Path.of("");

    @Test
    void theBuildHoldsALibraryForThisMachine() throws Exception {
        NativeLibrary library = NativeLibrary.bundled("quire_cpu");
        assertThat(library.path().getFileName().toString()).matches("libquire_cpu-[0-9a-f]+-[0-9a-f]+\\.so");
    }

    @Test
    void unpacksUnderTheHashOfTheContentAndReusesTheFile() throws Exception {
        Path first = NativeLibrary.unpack("x", CONTENT, folder.resolve("a/b"));
        assertThat(first).hasBinaryContent(CONTENT).hasParent(folder.resolve("a/b"));
        Object key = Files.readAttributes(first, "unix:ino").get("ino");
        assertThat(NativeLibrary.unpack("x", CONTENT, folder.resolve("a/b"))).isEqualTo(first);
        assertThat(Files.readAttributes(first, "unix:ino").get("ino"))
                .as("not written again")
                .isEqualTo(key);
        assertThat(NativeLibrary.unpack("x", new byte[] {1}, folder.resolve("a/b")))
                .isNotEqualTo(first);
        assertThat(files(folder.resolve("a/b")))
                .as("no temporary files are left")
                .isEqualTo(2);
    }

    private static long files(Path folder) throws IOException {
        try (Stream<Path> list = Files.list(folder)) {
            return list.count();
        }
    }

    @Test
    void replacesAFileThatWasTamperedWith() throws Exception {
        Path file = NativeLibrary.unpack("x", CONTENT, folder);
        Files.write(file, "not really a lobrary".getBytes(UTF_8));
        assertThat(NativeLibrary.unpack("x", CONTENT, folder)).isEqualTo(file).hasBinaryContent(CONTENT);
    }

    @Test
    void fallsBackToTheTemporaryFolderWhenTheCacheCannotBeWritten() throws Exception {
        Path blocked = Files.write(folder.resolve("file"), CONTENT);
        Path file = NativeLibrary.unpack("x", CONTENT, blocked.resolve("native"));
        assertThat(file).hasBinaryContent(CONTENT);
        Files.delete(file);
        Files.delete(file.getParent());
    }

    @Test
    void theCacheFollowsXdgWhenItIsAbsolute() {
        assertThat(NativeLibrary.cacheFolder(Map.of("XDG_CACHE_HOME", "/x/y"))).isEqualTo(Path.of("/x/y/quire/native"));
        Path home = Path.of(System.getProperty("user.home"), ".cache/quire/native");
        assertThat(NativeLibrary.cacheFolder(Map.of())).isEqualTo(home);
        assertThat(NativeLibrary.cacheFolder(Map.of("XDG_CACHE_HOME", "relative")))
                .isEqualTo(home);
    }

    @Test
    void saysWhatIsWrongWithALibrary() throws Exception {
        Path damaged = Files.write(folder.resolve("libdamaged.so"), CONTENT);
        assertThatThrownBy(() -> NativeLibrary.open(damaged))
                .isInstanceOf(NativeLibrary.Unavailable.class)
                .hasMessageContaining("cannot open " + damaged);
        assertThatThrownBy(() -> NativeLibrary.open(folder.resolve("absent.so")))
                .isInstanceOf(NativeLibrary.Unavailable.class)
                .hasMessageContaining("absent.so");
        assertThatThrownBy(() -> NativeLibrary.bundled("no_such"))
                .isInstanceOf(NativeLibrary.Unavailable.class)
                .hasMessageContaining("libno_such.so");
    }

    @Test
    void saysWhichFunctionIsMissing() {
        Path libm = Stream.of("/lib/x86_64-linux-gnu/libm.so.6", "/lib64/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6")
                .map(Path::of)
                .filter(Files::exists)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("this test needs the system's libm.so.6"));
        assertThatThrownBy(() -> NativeLibrary.open(libm))
                .isInstanceOf(NativeLibrary.Unavailable.class)
                .hasMessageContaining("qr_abi_version");
    }
}
