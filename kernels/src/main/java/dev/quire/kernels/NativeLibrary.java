package dev.quire.kernels;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * Finds, unpacks and opens a library that implements quire.h.
 *
 * <p>The library travels inside the jar; the system loader wants a file. It is unpacked to a cache folder under a name
 * that holds a checksum of its content, so that versions lie side by side, and what is already there is read back and compared
 * before it is trusted.
 *
 * @param path the file that was opened
 * @param symbols its functions
 */
record NativeLibrary(Path path, NativeSymbols symbols) {
    static final int ABI_VERSION = 6;

    /** The library cannot be used; the message says why and what to do. */
    static final class Unavailable extends Exception {
        private static final long serialVersionUID = 1L;

        Unavailable(String message) {
            super(message);
        }

        Unavailable(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** Opens {@code lib<name>.so} from the class path, for this operating system and processor. */
    static NativeLibrary bundled(String name) throws Unavailable {
        String resource = "/META-INF/native/" + platform() + "/lib" + name + ".so";
        byte[] content;
        try (InputStream in = NativeLibrary.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new Unavailable("this build holds no " + resource);
            }
            content = in.readAllBytes();
        } catch (IOException e) {
            throw new Unavailable("cannot read " + resource + ": " + e.getMessage(), e);
        }
        return open(unpack(name, content, cacheFolder(System.getenv())));
    }

    /** Opens a library by its path. */
    static NativeLibrary open(Path path) throws Unavailable {
        // The global arena: a library's threads may outlive every backend, so it is never unloaded.
        try {
            SymbolLookup lookup = SymbolLookup.libraryLookup(path.toAbsolutePath(), Arena.global());
            int version = (int) NativeSymbols.Function.ABI_VERSION.bind(lookup).invokeExact();
            if (version != ABI_VERSION) {
                throw new Unavailable(path + " has interface version " + version + ", this build needs " + ABI_VERSION
                        + ": build both from the same sources");
            }
            return new NativeLibrary(path, NativeSymbols.bind(lookup));
        } catch (Unavailable e) {
            throw e;
        } catch (IllegalArgumentException | UnsatisfiedLinkError e) {
            throw new Unavailable("cannot open " + path + ": " + e.getMessage(), e);
        } catch (Throwable e) {
            throw new Unavailable("cannot ask " + path + " for its version: " + e, e);
        }
    }

    /** Devices that can be opened. */
    int deviceCount() {
        try {
            return (int) symbols.deviceCount().invokeExact();
        } catch (Throwable e) {
            throw new IllegalStateException("the downcall of qr_device_count failed", e);
        }
    }

    /** Operating system and processor in the form of the resource folders, such as linux-x86_64. */
    static String platform() {
        String arch = System.getProperty("os.arch", "").toLowerCase(Locale.ROOT);
        String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
        return os + "-" + (arch.equals("amd64") ? "x86_64" : arch);
    }

    /** Where libraries are unpacked: quire/native under the user's cache folder. */
    static Path cacheFolder(Map<String, String> environment) {
        String xdg = environment.getOrDefault("XDG_CACHE_HOME", "");
        Path cache = Path.of(xdg).isAbsolute() ? Path.of(xdg) : Path.of(System.getProperty("user.home", "/"), ".cache");
        return cache.resolve("quire").resolve("native");
    }

    /** Writes the library to the folder, or where that is impossible to a fresh temporary one; returns the file. */
    static Path unpack(String name, byte[] content, Path folder) throws Unavailable {
        String file = "lib" + name + "-" + checksum(content) + ".so";
        try {
            return unpackTo(folder, file, content);
        } catch (IOException first) {
            try {
                return unpackTo(Files.createTempDirectory("quire-native"), file, content);
            } catch (IOException second) {
                second.addSuppressed(first);
                throw new Unavailable(
                        "cannot write " + file + " to " + folder + " (" + first + ") nor to a temporary folder ("
                                + second + "): set XDG_CACHE_HOME to a writable folder",
                        second);
            }
        }
    }

    private static Path unpackTo(Path folder, String file, byte[] content) throws IOException {
        Path target = folder.resolve(file);
        if (holds(target, content)) {
            return target;
        }
        Files.createDirectories(folder);
        Path fresh = Files.createTempFile(folder, file, ".tmp");
        try {
            Files.write(fresh, content);
            try {
                Files.move(fresh, target, StandardCopyOption.ATOMIC_MOVE);
            } catch (AtomicMoveNotSupportedException e) {
                Files.move(fresh, target, StandardCopyOption.REPLACE_EXISTING);
            }
        } finally {
            Files.deleteIfExists(fresh);
        }
        if (!holds(target, content)) {
            throw new IOException(target + " does not hold what was written to it");
        }
        return target;
    }

    private static boolean holds(Path file, byte[] content) throws IOException {
        return Files.isRegularFile(file)
                && Files.size(file) == content.length
                && Arrays.equals(Files.readAllBytes(file), content);
    }

    /** Tells versions apart; what a file holds is compared in full. */
    private static String checksum(byte[] content) {
        CRC32C crc = new CRC32C();
        crc.update(content);
        return Long.toHexString(crc.getValue()) + "-" + Integer.toHexString(content.length);
    }
}
