package dev.quire.server.http;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * One request and its answer, for the virtual thread that serves it. The request side may be read by any thread; the
 * answer is given once, by one thread.
 */
public final class Exchange {
    private final Request request;
    private final ConnectionHandler connection;
    private final long startNanos = System.nanoTime();
    private final List<Runnable> watchers = new ArrayList<>();
    private volatile boolean gone;
    private volatile boolean answered;
    private volatile boolean streams;
    private volatile int status = 499;
    private final AtomicLong responseBytes = new AtomicLong();
    private volatile @Nullable SseStream stream;

    Exchange(Request request, ConnectionHandler connection) {
        this.request = request;
        this.connection = connection;
    }

    /** The id that goes with the answer, the client's own where it sent one. */
    public String id() {
        RequestHead head = request.head();
        return head == null ? "" : head.id();
    }

    /** Path, percent-decoded, without query and root path. */
    public String path() {
        return head().path();
    }

    /** What follows the stem of a route that ends in {@code /*}. */
    public String tail() {
        Route route = Objects.requireNonNull(request.decision().route());
        return path().substring(route.path().length() - 1);
    }

    /** A request header's first value. */
    public @Nullable String header(String name) {
        return head().header(name);
    }

    /** The request's body; not to be written. */
    public byte[] body() {
        return request.body();
    }

    /**
     * Runs the action when the client leaves before the answer is complete; at once when it has left already. The
     * action must not block: it runs on the event loop.
     */
    public void onDisconnect(Runnable action) {
        synchronized (watchers) {
            if (!gone) {
                watchers.add(action);
                return;
            }
        }
        action.run();
    }

    /** Whether the client has left. */
    public boolean gone() {
        return gone;
    }

    /** Gives the whole answer; does not wait until it is sent. */
    public void reply(Reply reply) {
        claim(reply.status());
        responseBytes.set(reply.body().length);
        connection.send(this, reply);
    }

    /** Begins a stream of server-sent events with status 200. */
    public SseStream sse() {
        claim(200);
        streams = true;
        SseStream opened = connection.openStream(this);
        stream = opened;
        return opened;
    }

    private void claim(int newStatus) {
        if (answered) {
            throw new IllegalStateException("answered twice: " + id());
        }
        status = newStatus;
        answered = true;
    }

    /** The reply while nothing has been sent; otherwise the connection is cut, so that nobody takes a torso for all. */
    void replyOrAbort(Reply reply) {
        if (!answered) {
            reply(reply);
            return;
        }
        SseStream open = stream;
        if (open == null || !open.closed()) {
            connection.abort();
        }
    }

    boolean answered() {
        return answered;
    }

    void countResponse(int bytes) {
        responseBytes.addAndGet(bytes);
    }

    @Nullable
    SseStream stream() {
        return stream;
    }

    Request request() {
        return request;
    }

    ConnectionHandler connection() {
        return connection;
    }

    /** Whether the answer is an event stream. */
    boolean streams() {
        return streams;
    }

    boolean http10() {
        RequestHead head = request.head();
        return head != null && head.http10();
    }

    boolean headOnly() {
        RequestHead head = request.head();
        return head != null && head.method().equals("HEAD");
    }

    Map<String, String> commonHeaders() {
        long millis = (System.nanoTime() - startNanos) / 1_000_000;
        return Map.of("X-Request-Id", id(), "openai-processing-ms", Long.toString(millis));
    }

    HttpObserver.Finished summary() {
        RequestHead head = request.head();
        return new HttpObserver.Finished(
                head == null ? "OTHER" : head.methodLabel(),
                request.decision().handler(),
                status,
                System.nanoTime() - startNanos,
                request.body().length,
                responseBytes.get());
    }

    /** Event loop. */
    void disconnected() {
        List<Runnable> actions;
        synchronized (watchers) {
            gone = true;
            actions = List.copyOf(watchers);
            watchers.clear();
        }
        actions.forEach(Runnable::run);
        writable();
    }

    /** Event loop: the channel takes bytes again, or never will. */
    void writable() {
        SseStream open = stream;
        if (open != null) {
            open.news();
        }
    }

    private RequestHead head() {
        return Objects.requireNonNull(request.head());
    }
}
