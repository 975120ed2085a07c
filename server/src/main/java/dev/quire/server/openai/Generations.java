package dev.quire.server.openai;

import dev.quire.scheduler.TextEvent;
import dev.quire.scheduler.TextRequest;
import dev.quire.scheduler.TextStream;
import dev.quire.server.http.Exchange;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What runs for one HTTP request: a text stream per prompt, their events in one row. Closed by whoever comes first: the
 * end of the answer, the client that leaves, the server that goes down.
 */
final class Generations implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Generations.class);
    private static final int BUFFERED_EVENTS = 64;

    private final LiveRequests live;
    private final List<TextStream> streams = new ArrayList<>();
    private final List<Thread> pumps = new ArrayList<>();
    private @Nullable BlockingQueue<Numbered> merged;

    /**
     * An event and the prompt it belongs to.
     *
     * @param prompt index in the request
     */
    record Numbered(int prompt, TextEvent event) {}

    private Generations(LiveRequests live) {
        this.live = live;
    }

    /**
     * Starts all prompts, or none.
     *
     * @throws ApiException when one is refused
     */
    static Generations start(ServedModel model, List<TextRequest> requests, Exchange exchange, LiveRequests live) {
        Generations all = new Generations(live);
        boolean complete = false;
        try {
            for (TextRequest request : requests) {
                switch (model.texts().start(request)) {
                    case TextSource.Start.Started started -> all.streams.add(started.stream());
                    case TextSource.Start.Refused refused ->
                        throw ApiError.of(refused.refusal()).exception();
                }
            }
            complete = true;
        } finally {
            if (!complete) {
                all.closeStreams();
            }
        }
        live.add(all);
        exchange.onDisconnect(all::closeStreams);
        return all;
    }

    /** How many prompts. */
    int size() {
        return streams.size();
    }

    /** Waits for the next event of any prompt. One reader. */
    Numbered next() throws InterruptedException {
        if (streams.size() == 1) {
            return new Numbered(0, streams.getFirst().next());
        }
        BlockingQueue<Numbered> queue = merged;
        if (queue == null) {
            queue = new ArrayBlockingQueue<>(BUFFERED_EVENTS);
            merged = queue;
            for (int i = 0; i < streams.size(); i++) {
                pumps.add(pump(i, streams.get(i), queue));
            }
        }
        return queue.take();
    }

    private static Thread pump(int prompt, TextStream stream, BlockingQueue<Numbered> queue) {
        return Thread.ofVirtual().name("quire-merge-" + prompt).start(() -> {
            try {
                TextEvent event;
                do {
                    event = stream.next();
                    queue.put(new Numbered(prompt, event));
                } while (!(event instanceof TextEvent.Done) && !(event instanceof TextEvent.Failed));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } catch (RuntimeException | Error e) {
                LOG.error("reading the stream of prompt {} failed", prompt, e);
                putFailure(prompt, queue);
            }
        });
    }

    private static void putFailure(int prompt, BlockingQueue<Numbered> queue) {
        try {
            queue.put(new Numbered(prompt, new TextEvent.Failed("The server had an error.")));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // the reader is gone
        }
    }

    /** Aborts what still runs; any thread, never blocks. */
    void closeStreams() {
        for (TextStream stream : streams) {
            stream.close();
        }
    }

    @Override
    public void close() {
        live.remove(this);
        closeStreams();
        pumps.forEach(Thread::interrupt);
    }
}
