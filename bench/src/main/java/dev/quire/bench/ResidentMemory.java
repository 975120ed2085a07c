package dev.quire.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Watches how much memory processes hold resident, together, and keeps the largest sum. Pages that they share count for
 * each. Linux only; elsewhere it sees 0.
 */
final class ResidentMemory implements AutoCloseable {
    private static final long INTERVAL_MS = 250;

    private final List<Long> processes;
    private final Thread thread;
    private volatile long peakBytes;

    /** Watches from now on. */
    ResidentMemory(List<Long> processes) {
        this.processes = processes;
        thread = Thread.ofPlatform().daemon().name("resident-memory").start(this::watch);
    }

    private void watch() {
        try {
            while (true) {
                peakBytes = Math.max(peakBytes, now());
                Thread.sleep(INTERVAL_MS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private long now() {
        long sum = 0;
        for (long process : processes) {
            sum += residentBytes(status(process));
        }
        return sum;
    }

    private static String status(long process) {
        try {
            return Files.readString(Path.of("/proc/" + process + "/status"));
        } catch (IOException e) {
            return ""; // it has ended
        }
    }

    /** The VmRSS of a process's status; 0 where it has none. */
    static long residentBytes(String status) {
        return status.lines()
                .filter(line -> line.startsWith("VmRSS:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
                .sum();
    }

    long peakBytes() {
        return peakBytes;
    }

    @Override
    public void close() {
        thread.interrupt();
    }
}
