package dev.quire.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** CPU time of this process by groups of threads, as the kernel counts it (Linux; elsewhere there are no groups). */
final class ThreadTimes {
    private static final Path TASKS = Path.of("/proc/self/task");
    /** The unit of {@code /proc/PID/stat}, the same on all of Linux's usual builds. */
    private static final double SECONDS_PER_TICK = 0.01;

    private static final int USER_TIME = 11;
    private static final int SYSTEM_TIME = 12;
    /** Beginnings of threads' names, the first that fits counts. */
    private static final List<Map.Entry<String, String>> GROUPS = List.of(
            Map.entry("quire-engine", "engine"),
            Map.entry("quire-http", "event loops"),
            Map.entry("ForkJoinPool", "virtual threads"),
            Map.entry("VirtualThread", "virtual threads"),
            Map.entry("VM Thread", "GC"),
            Map.entry("GC Thread", "GC"),
            Map.entry("G1 ", "GC"),
            Map.entry("C1 Compiler", "compilers"),
            Map.entry("C2 Compiler", "compilers"));

    private ThreadTimes() {}

    /** Seconds so far, user and system together; threads that have ended are not in it. */
    static Map<String, Double> now() throws IOException {
        Map<String, Double> seconds = new TreeMap<>();
        if (Files.isDirectory(TASKS)) {
            try (Stream<Path> tasks = Files.list(TASKS)) {
                for (Path task : tasks.toList()) {
                    add(Files.readString(task.resolve("stat")), seconds);
                }
            }
        }
        return seconds;
    }

    /** A line of the form {@code id (name) state ...}; the name may hold anything. */
    private static void add(String stat, Map<String, Double> seconds) {
        String name = stat.substring(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
        long ticks = Long.parseLong(fields[USER_TIME]) + Long.parseLong(fields[SYSTEM_TIME]);
        seconds.merge(group(name), ticks * SECONDS_PER_TICK, Double::sum);
    }

    private static String group(String name) {
        for (Map.Entry<String, String> group : GROUPS) {
            if (name.startsWith(group.getKey())) {
                return group.getValue();
            }
        }
        return "others";
    }

    /** What was added between two readings, without groups that did nothing. */
    static Map<String, Double> between(Map<String, Double> before, Map<String, Double> after) {
        Map<String, Double> used = new TreeMap<>();
        after.forEach((group, seconds) -> {
            double more = seconds - before.getOrDefault(group, 0.0);
            if (more > 0) {
                used.put(group, more);
            }
        });
        return used;
    }
}
