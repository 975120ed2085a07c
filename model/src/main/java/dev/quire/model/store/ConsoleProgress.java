package dev.quire.model.store;

import java.io.Console;
import java.util.Optional;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Shows downloads to a person: a bar on stderr when there is a terminal, else a log line for each tenth. Used by one
 * thread; close it to leave the terminal tidy after a failed download.
 */
public final class ConsoleProgress implements DownloadProgress, AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(ConsoleProgress.class);
    private static final long MIB = 1 << 20;

    private final boolean terminal;
    private @Nullable ProgressBar bar;
    private String current = "";
    private long tenths = -1;

    public ConsoleProgress() {
        this(onTerminal());
    }

    ConsoleProgress(boolean terminal) {
        this.terminal = terminal;
    }

    private static boolean onTerminal() {
        return Optional.ofNullable(System.console()).filter(Console::isTerminal).isPresent();
    }

    @Override
    public void update(String file, long doneBytes, long totalBytes) {
        if (!file.equals(current)) {
            close();
            current = file;
        }
        if (terminal) {
            draw(file, doneBytes, totalBytes);
        } else {
            report(file, doneBytes, totalBytes);
        }
        if (doneBytes == totalBytes) {
            close();
        }
    }

    private void draw(String file, long doneBytes, long totalBytes) {
        ProgressBar shown = bar;
        if (shown == null) {
            shown = new ProgressBarBuilder()
                    .setTaskName(file)
                    .setInitialMax(totalBytes)
                    .setUnit(" MiB", MIB)
                    .setStyle(ProgressBarStyle.ASCII)
                    .showSpeed()
                    .build();
            bar = shown;
        }
        shown.maxHint(totalBytes);
        shown.stepTo(doneBytes);
    }

    private void report(String file, long doneBytes, long totalBytes) {
        long reached = totalBytes > 0 ? doneBytes * 10 / totalBytes : 0;
        if (reached > tenths) {
            tenths = reached;
            log.info("downloading {}: {} of {} MiB", file, doneBytes / MIB, totalBytes < 0 ? "?" : totalBytes / MIB);
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
            bar = null;
        }
        current = "";
        tenths = -1;
    }
}
