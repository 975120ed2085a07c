package dev.quire.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * Processor time of a server's compute threads, from Linux' {@code /proc}. A thread that waits for its next operation
 * spins for some microseconds before it sleeps; that counts as busy.
 *
 * @param count threads; 0 where the system does not tell
 * @param seconds on a processor, of all together
 */
record ComputeThreads(int count, double seconds) {
    private static final String NAME = "quire-cpu-";

    /** Of the processes with these ids together. */
    static ComputeThreads of(List<Long> processes) {
        return in(processes.stream()
                .map(id -> Path.of("/proc", Long.toString(id), "task"))
                .toList());
    }

    /** Of folders with a folder for each thread. */
    static ComputeThreads in(List<Path> folders) {
        int count = 0;
        long nanos = 0;
        try {
            for (Path folder : folders) {
                for (Path thread : list(folder)) {
                    if (Files.readString(thread.resolve("comm")).startsWith(NAME)) {
                        count++;
                        String times = Files.readString(thread.resolve("schedstat"));
                        nanos += Long.parseLong(times.substring(0, times.indexOf(' ')));
                    }
                }
            }
        } catch (IOException e) {
            return new ComputeThreads(0, 0); // another system, or a process has ended
        }
        return new ComputeThreads(count, nanos / 1e9);
    }

    private static List<Path> list(Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.toList();
        }
    }

    /** The share of {@code wallSeconds} since an earlier reading in which they were on a processor. */
    double busyShare(ComputeThreads earlier, double wallSeconds) {
        return count == 0 ? 0 : (seconds - earlier.seconds) / (count * wallSeconds);
    }
}
