package dev.quire.bench;

import java.io.Console;
import java.util.Optional;

/** A bar on standard error while a run goes on, where there is a terminal. */
final class ProgressLine implements AutoCloseable {
    private static final int WIDTH = 30;
    private static final long REDRAW_NANOS = 200_000_000;

    private final String title;
    private final int total;
    private final boolean terminal;
    private long drawn;

    ProgressLine(String title, int total) {
        this.title = title;
        this.total = total;
        terminal = Optional.ofNullable(System.console())
                .filter(Console::isTerminal)
                .isPresent();
    }

    void done(int count) {
        long now = System.nanoTime();
        if (terminal && (now - drawn > REDRAW_NANOS || count == total)) {
            drawn = now;
            System.err.print("\r" + bar(title, count, total));
        }
    }

    static String bar(String title, int count, int total) {
        int full = total == 0 ? WIDTH : (int) ((long) WIDTH * count / total);
        return title + " [" + "=".repeat(full) + " ".repeat(WIDTH - full) + "] " + count + "/" + total;
    }

    @Override
    public void close() {
        if (terminal) {
            System.err.print("\r" + " ".repeat(title.length() + WIDTH + 30) + "\r");
        }
    }
}
