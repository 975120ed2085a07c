package dev.quire.model.store;

import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Downloads one file of a Hub into {@code <target>.part}, goes on there after a cut, also one of an earlier process, and
 * renames the file when size and digest are right.
 */
final class HubDownload {
    private static final Logger log = LoggerFactory.getLogger(HubDownload.class);
    private static final int ATTEMPTS = 5;

    private final HubClient hub;
    private final Duration retryDelay;
    private final DownloadProgress progress;

    HubDownload(HubClient hub, Duration retryDelay, DownloadProgress progress) {
        this.hub = hub;
        this.retryDelay = retryDelay;
        this.progress = progress;
    }

    /** What the answers of the Hub said about the file. */
    private static final class Facts {
        private long bytes;
        private @Nullable String sha256;
    }

    /** @throws ModelStoreException when the file cannot be had; what has arrived stays for the next time */
    void fetch(HubFile file, Path target) {
        Path part = target.resolveSibling(target.getFileName() + ".part");
        Facts facts = new Facts();
        facts.bytes = file.bytes();
        facts.sha256 = file.sha256();
        int failures = 0;
        while (true) {
            long before = size(part);
            try {
                if (receive(file, part, facts)) {
                    finish(file, part, target, facts);
                    return;
                }
                throw new IOException("the connection ended after " + size(part) + " of " + facts.bytes + " bytes");
            } catch (IOException e) {
                failures = size(part) > before ? 1 : failures + 1;
                if (failures >= ATTEMPTS) {
                    throw new ModelStoreException(
                            file.name() + " could not be downloaded from " + hub.endpoint() + ": " + said(e)
                                    + ". What has arrived is kept, and the next start goes on from there",
                            e);
                }
                log.info("download of {} interrupted ({}), trying again", file.name(), said(e));
                pause(file);
            }
        }
    }

    private static String said(IOException e) {
        return e.getMessage() == null
                ? e.getClass().getSimpleName()
                : e.getClass().getSimpleName() + ": " + e.getMessage();
    }

    private void pause(HubFile file) {
        try {
            Thread.sleep(retryDelay);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ModelStoreException("interrupted while downloading " + file.name(), e);
        }
    }

    /** Whether the part is now as long as the file. */
    private boolean receive(HubFile file, Path part, Facts facts) throws IOException {
        long have = size(part);
        if (facts.bytes >= 0 && have == facts.bytes) {
            return true;
        }
        if (facts.bytes >= 0 && have > facts.bytes) {
            Files.delete(part);
            have = 0;
        }
        HttpURLConnection answer = hub.file(file, have);
        int status = answer.getResponseCode();
        if (status == 416) {
            answer.disconnect();
            Files.deleteIfExists(part);
            throw new IOException("the server has no bytes from " + have + " on, starting over");
        }
        long from = status == 206 ? have : 0;
        learn(answer, from, facts);
        try (InputStream in = answer.getInputStream();
                FileChannel out = FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            out.truncate(from);
            out.position(from);
            return copy(in, out, file, facts);
        } finally {
            answer.disconnect();
        }
    }

    private static void learn(HttpURLConnection answer, long from, Facts facts) throws IOException {
        if (from > 0 && !String.valueOf(answer.getHeaderField("Content-Range")).startsWith("bytes " + from + "-")) {
            throw new IOException("the server does not go on from byte " + from);
        }
        long length = answer.getContentLengthLong();
        if (facts.bytes < 0 && length >= 0) {
            facts.bytes = from + length;
        }
        String tag = answer.getHeaderField("X-Linked-Etag");
        String digest =
                tag == null ? "" : tag.replace("W/", "").replace("\"", "").toLowerCase(Locale.ROOT);
        if (facts.sha256 == null && digest.matches("[0-9a-f]{64}")) {
            facts.sha256 = digest;
        }
    }

    private boolean copy(InputStream in, FileChannel out, HubFile file, Facts facts) throws IOException {
        byte[] buffer = new byte[1 << 18];
        long done = out.position();
        progress.update(file.name(), done, facts.bytes);
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
            done += n;
            if (facts.bytes >= 0 && done > facts.bytes) {
                throw new ModelStoreException(
                        file.name() + " is longer than the " + facts.bytes + " bytes that were announced");
            }
            StoredFile.writeFully(out, buffer, n);
            progress.update(file.name(), done, facts.bytes);
        }
        return facts.bytes < 0 || done == facts.bytes;
    }

    private static void finish(HubFile file, Path part, Path target, Facts facts) throws IOException {
        String expected = facts.sha256;
        if (expected == null) {
            StoredFile.install(part, target);
            return;
        }
        String sha256 = StoredFile.sha256(part);
        if (!sha256.equals(expected)) {
            Files.delete(part);
            throw new ModelStoreException(
                    file.name() + " arrived damaged: sha256 " + sha256 + ", expected is " + expected
                            + ". The bytes were deleted; start again, and if it happens again, look at the mirror or proxy");
        }
        StoredFile.installVerified(part, target, expected);
    }

    private static long size(Path part) {
        return part.toFile().length();
    }
}
