package dev.quire.server.ops;

import dev.quire.scheduler.EngineListener.RequestStats;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.InstantSource;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Appends a line to a file for each request that has ended with an answer: when it came and how long prompt and answer
 * were, never what they said. {@code quire bench} replays such a file. The engine thread only queues; a thread of its
 * own writes. What does not fit the queue is left out, and counted in the log.
 */
public final class ArrivalRecorder implements Consumer<RequestStats>, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ArrivalRecorder.class);
    private static final int QUEUED = 4096;
    private static final Arrival END = new Arrival(0, 0, 0);
    private static final long LAST_WORDS_SECONDS = 2;

    private final InstantSource clock;
    private final Writer file;
    private final BlockingQueue<Arrival> queue;
    private final Thread writer;
    private long leftOut; // engine thread

    private record Arrival(long atMs, int promptTokens, int outputTokens) {}

    /** Writes to {@code file} and keeps at most {@code queued} requests waiting for it. */
    ArrivalRecorder(Writer file, InstantSource clock, int queued) {
        this.file = file;
        this.clock = clock;
        queue = new ArrayBlockingQueue<>(queued);
        writer = Thread.ofPlatform().daemon().name("quire-arrivals").start(this::write);
    }

    /**
     * Opens the file, and makes it when it is not there.
     *
     * @throws IOException when it cannot be written
     */
    public static ArrivalRecorder open(Path file, InstantSource clock) throws IOException {
        return new ArrivalRecorder(
                Files.newBufferedWriter(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND), clock, QUEUED);
    }

    /** Queues a line; the engine thread, which it never holds up. */
    @Override
    public void accept(RequestStats request) {
        int prompt = request.usage().promptTokens();
        int output = request.usage().completionTokens();
        if (prompt == 0 || output == 0) {
            return; // it was aborted before its first token
        }
        long at = clock.millis() - request.totalNanos() / 1_000_000;
        if (!queue.offer(new Arrival(at, prompt, output)) && leftOut++ == 0) {
            LOG.warn("arrivals come faster than they can be recorded; some are left out");
        }
    }

    private void write() {
        try (file) {
            for (Arrival next = queue.take(); !next.equals(END); next = queue.take()) {
                file.write("{\"at_ms\":" + next.atMs() + ",\"prompt_tokens\":" + next.promptTokens()
                        + ",\"output_tokens\":" + next.outputTokens() + "}\n");
                if (queue.isEmpty()) {
                    file.flush();
                }
            }
        } catch (IOException e) {
            LOG.error("arrivals are no longer recorded", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Writes what is queued and closes the file; after the engine has ended. */
    @Override
    public void close() {
        try {
            if (queue.offer(END, LAST_WORDS_SECONDS, TimeUnit.SECONDS)) {
                writer.join(TimeUnit.SECONDS.toMillis(LAST_WORDS_SECONDS));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
