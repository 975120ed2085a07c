package dev.quire.server.openai;

import dev.quire.scheduler.TextEvent;
import dev.quire.scheduler.TextRequest;
import dev.quire.scheduler.TextStream;
import dev.quire.server.http.Exchange;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * What runs for one HTTP request: a text stream per prompt, their events in one row. Closed by whoever comes first: the
 * end of the answer, the client that leaves, the server that goes down.
 */
final class Generations implements AutoCloseable {
    private static final long LOOK_AROUND_NANOS = 1_000_000_000L;

    private final LiveRequests live;
    private final List<TextStream> streams = new ArrayList<>();
    private final boolean[] told;
    private int turn;
    private boolean waits;

    /**
     * An event and the prompt it belongs to.
     *
     * @param prompt index in the request
     */
    record Numbered(int prompt, TextEvent event) {}

    private Generations(LiveRequests live, int prompts) {
        this.live = live;
        told = new boolean[prompts];
    }

    /**
     * Starts all prompts, or none.
     *
     * @throws ApiException when one is refused
     */
    static Generations start(ServedModel model, List<TextRequest> requests, Exchange exchange, LiveRequests live) {
        Generations all = new Generations(live, requests.size());
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

    /** The next event of any prompt if there is one, else null; the prompts take turns. One reader. */
    @Nullable
    Numbered poll() {
        for (int i = 0; i < streams.size(); i++) {
            int prompt = turn;
            turn = turn + 1 == streams.size() ? 0 : turn + 1;
            TextEvent event = told[prompt] ? null : streams.get(prompt).poll();
            if (event != null) {
                told[prompt] = event instanceof TextEvent.Done || event instanceof TextEvent.Failed;
                return new Numbered(prompt, event);
            }
        }
        return null;
    }

    /** Waits for the next event of any prompt. One reader, always the same thread. */
    Numbered next() throws InterruptedException {
        if (!waits) {
            waits = true;
            Thread reader = Thread.currentThread();
            onNews(() -> LockSupport.unpark(reader));
        }
        Numbered next = poll();
        while (next == null) {
            LockSupport.parkNanos(this, LOOK_AROUND_NANOS);
            if (Thread.interrupted()) {
                throw new InterruptedException();
            }
            next = poll();
        }
        return next;
    }

    /** Takes the action to run when there may be another event. */
    void onNews(Runnable action) {
        for (TextStream stream : streams) {
            stream.onNews(action);
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
    }
}
