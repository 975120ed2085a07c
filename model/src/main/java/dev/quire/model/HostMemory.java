package dev.quire.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How much memory this process may still take: what the host has available, or less where a control group (a container,
 * a service manager) sets a limit. Versions 1 and 2 of Linux control groups are read.
 */
final class HostMemory {
    private static final Path PROC = Path.of("/proc");
    private static final Path CGROUP = Path.of("/sys/fs/cgroup");

    private final Path proc;
    private final Path cgroup;

    HostMemory(Path proc, Path cgroup) {
        this.proc = proc;
        this.cgroup = cgroup;
    }

    /** The machine that this runs on. */
    static HostMemory system() {
        return new HostMemory(PROC, CGROUP);
    }

    /** Bytes; empty where the machine does not say. */
    OptionalLong available() {
        long left = field(proc.resolve("meminfo"), "MemAvailable:\\s*(\\d+) kB", 1024);
        left = Math.min(left, unified());
        left = Math.min(left, left(cgroup.resolve("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"));
        return left == Long.MAX_VALUE ? OptionalLong.empty() : OptionalLong.of(left);
    }

    /** Version 2: the process' group and each group above it may have a limit. */
    private long unified() {
        Matcher own = Pattern.compile("(?m)^0::/(.*)$").matcher(text(proc.resolve("self/cgroup")));
        Path group = own.find() ? cgroup.resolve(own.group(1)).normalize() : cgroup;
        // A group outside of what is mounted (another namespace's): only the mounted root is known.
        group = group.startsWith(cgroup) ? group : cgroup;
        long left = Long.MAX_VALUE;
        for (Path at = group; at != null && at.startsWith(cgroup); at = at.getParent()) {
            left = Math.min(left, left(at, "memory.max", "memory.current"));
        }
        return left;
    }

    private static long left(Path group, String limit, String usage) {
        long most = field(group.resolve(limit), "^(\\d+)", 1);
        long used = field(group.resolve(usage), "^(\\d+)", 1);
        if (most == Long.MAX_VALUE || used == Long.MAX_VALUE) {
            return Long.MAX_VALUE;
        }
        // Pages of files count as used, but the kernel drops the idle ones before it refuses memory.
        long idle = field(group.resolve("memory.stat"), "(?m)^(?:total_)?inactive_file (\\d+)", 1);
        return Math.max(0, most - used + (idle == Long.MAX_VALUE ? 0 : Math.min(idle, used)));
    }

    private static long field(Path file, String pattern, long unit) {
        Matcher m = Pattern.compile(pattern).matcher(text(file));
        if (!m.find()) {
            return Long.MAX_VALUE;
        }
        try {
            return Math.multiplyExact(Long.parseLong(m.group(1)), unit);
        } catch (NumberFormatException | ArithmeticException _) {
            return Long.MAX_VALUE;
        }
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException _) {
            return "";
        }
    }
}
