package dev.quire.model.store;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Files of the cache: checked once, put in place whole or not at all. Beside a checked file lies a stamp
 * ({@code <file>.sha256}) with digest, size and time of change, so that the next start need not read it all again.
 */
final class StoredFile {
    private static final Logger log = LoggerFactory.getLogger(StoredFile.class);
    private static final int BUFFER_BYTES = 1 << 18;

    private StoredFile() {}

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    static String hex(MessageDigest digest) {
        return HexFormat.of().formatHex(digest.digest());
    }

    static String sha256(Path file) throws IOException {
        MessageDigest digest = sha256();
        byte[] buffer = new byte[BUFFER_BYTES];
        try (InputStream in = Files.newInputStream(file)) {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                digest.update(buffer, 0, n);
            }
        }
        return hex(digest);
    }

    /** Whether the file is there with this size and digest; reads the whole file only when no stamp vouches for it. */
    static boolean isIntact(Path file, long bytes, String sha256) throws IOException {
        if (!Files.isRegularFile(file) || Files.size(file) != bytes) {
            return false;
        }
        Path stamp = stamp(file);
        if (Files.isRegularFile(stamp) && Files.readString(stamp).equals(stampText(file, sha256))) {
            return true;
        }
        if (!sha256(file).equals(sha256)) {
            return false;
        }
        writeStamp(file, sha256);
        return true;
    }

    /** Writes what the channel's owner has not yet forced to disk, then renames: readers see all of it or none. */
    static void install(Path part, Path target) throws IOException {
        try (FileChannel channel = FileChannel.open(part, StandardOpenOption.WRITE)) {
            channel.force(true);
        }
        Files.move(part, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        forceFolder(target);
    }

    /** As {@link #install}, for a file whose digest has been found right. */
    static void installVerified(Path part, Path target, String sha256) throws IOException {
        install(part, target);
        writeStamp(target, sha256);
    }

    private static void forceFolder(Path file) {
        Path folder = file.toAbsolutePath().getParent();
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException e) {
            // Some file systems cannot sync a folder; the rename is then durable a little later.
            log.debug("cannot sync folder {}", folder, e);
        }
    }

    private static void writeStamp(Path file, String sha256) {
        try {
            Path fresh = stamp(file).resolveSibling(file.getFileName() + ".sha256.part");
            Files.writeString(fresh, stampText(file, sha256));
            Files.move(fresh, stamp(file), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            // A read-only cache works as well, only slower: each start reads the file once more.
            log.debug("cannot write the stamp of {}", file, e);
        }
    }

    private static String stampText(Path file, String sha256) throws IOException {
        return sha256 + " " + Files.size(file) + " "
                + Files.getLastModifiedTime(file).toMillis() + "\n";
    }

    private static Path stamp(Path file) {
        return file.resolveSibling(file.getFileName() + ".sha256");
    }

    /** Writes all of the buffer; a channel may take less at a time. */
    static void writeFully(FileChannel channel, byte[] bytes, int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes, 0, length);
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    static void deleteTree(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return;
        }
        try (var entries = Files.walk(folder)) {
            for (Path entry : entries.sorted((a, b) -> b.compareTo(a)).toList()) {
                Files.deleteIfExists(entry);
            }
        }
    }
}
