package dev.quire.server.http;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.EventLoop;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.concurrent.Future;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * An open stream of server-sent events. The event loop itself asks the source for events and writes them, so a token
 * costs no other thread anything; all that a source has at the time goes out with one write. Only what takes long to
 * make is made by the thread that sends, and handed over. Nothing is asked for while the client is slow, so what feeds
 * the source is slowed down too and memory stays bounded.
 */
public final class SseStream {
    private static final byte[] COMMENT = ": keep-alive\n\n".getBytes(StandardCharsets.US_ASCII);
    private static final int FIRST_BYTES = 512;
    /** Events written at once come to little more than this. */
    private static final int MOST_BYTES = 16 * 1024;
    /** A source without news is asked nevertheless, now and then: whether any can still come may have changed. */
    private static final long LOOK_AROUND_MILLIS = 1000;

    private final Exchange exchange;
    private final Channel channel;
    private final EventLoop loop;
    private final Duration writeTimeout;
    private final long quietNanos;
    private final Runnable pump = this::pump;
    private final AtomicBoolean pumping = new AtomicBoolean();
    /** One for each time that the sending thread is to make events, and one for the end. */
    private final Semaphore turns = new Semaphore(0);

    private volatile @Nullable EventSource source;
    private volatile boolean closed;
    private volatile boolean ended;
    private volatile @Nullable Throwable failure;
    /** Whether the sending thread makes events just now. */
    private boolean away;
    /** Whether news came meanwhile. */
    private boolean missed;

    private @Nullable Future<?> stuck;
    private long lastWriteNanos = System.nanoTime();

    SseStream(Exchange exchange, Channel channel, Duration writeTimeout, Duration keepAlive) {
        this.exchange = exchange;
        this.channel = channel;
        this.loop = channel.eventLoop();
        this.writeTimeout = writeTimeout;
        this.quietNanos = keepAlive.toNanos();
        if (quietNanos > 0) {
            scheduleComment(quietNanos);
        }
    }

    /**
     * Sends what the source has until it has no more, then ends the stream; waits for that. Once only.
     *
     * @throws ClientGoneException when nobody reads, or nothing was taken for the write timeout
     * @throws RuntimeException what the source threw; the stream is open still
     */
    public void send(EventSource events) throws InterruptedException {
        source = events;
        try {
            events.onNews(this::news);
            news();
            loop.execute(this::lookAround);
            turns.acquire();
            while (!ended) {
                make(events);
                turns.acquire();
            }
        } finally {
            source = null;
        }
        switch (failure) {
            case null -> {}
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            case Throwable e -> throw new IllegalStateException(e);
        }
    }

    /** Makes what takes long, for the event loop to write. */
    private void make(EventSource events) {
        SseEvents out = newEvents();
        EventSource.More more = fill(out, events, true);
        try {
            loop.execute(() -> made(out, more));
        } catch (RejectedExecutionException _) {
            out.release();
        }
    }

    private EventSource.More fill(SseEvents out, EventSource events, boolean slow) {
        EventSource.More more = EventSource.More.NOW;
        try {
            while (more == EventSource.More.NOW && out.size() < MOST_BYTES && events.slow() == slow) {
                more = events.next(out);
            }
            return more;
        } catch (RuntimeException | Error e) {
            end(e);
            return EventSource.More.LATER;
        }
    }

    private void end(@Nullable Throwable why) {
        failure = why;
        ended = true;
        turns.release();
    }

    boolean closed() {
        return closed;
    }

    /** Sends a comment, which clients ignore. Any thread. */
    void comment() {
        // Through the queue even on the event loop: the response's head may still be waiting there.
        loop.execute(() -> {
            if (!closed && channel.isWritable()) {
                SseEvents comment = newEvents();
                comment.addComment(COMMENT);
                write(comment);
            }
        });
    }

    /** There may be more to send, or nobody to send it to. Any thread. */
    void news() {
        if (pumping.compareAndSet(false, true)) {
            try {
                loop.execute(pump);
            } catch (RejectedExecutionException _) {
                // The server is going down: whoever waits is interrupted.
            }
        }
    }

    // --- event loop --------------------------------------------------------------------------------------------------

    private void pump() {
        pumping.set(false);
        EventSource events = source;
        if (events == null || ended) {
            return;
        }
        if (exchange.gone()) {
            end(new ClientGoneException());
        } else if (away) {
            missed = true;
        } else {
            sendAll(events, EventSource.More.NOW);
        }
    }

    /** Takes over what the sending thread has made, and goes on. */
    private void made(SseEvents out, EventSource.More more) {
        boolean again = missed && more == EventSource.More.LATER;
        missed = false;
        away = false;
        EventSource events = source;
        if (events == null || ended) {
            out.release();
            return;
        }
        write(out);
        sendAll(events, again ? EventSource.More.NOW : more);
    }

    private void sendAll(EventSource events, EventSource.More last) {
        if (channel.isWritable()) {
            stopWatch(); // the client has taken something since
        }
        EventSource.More more = last;
        while (more == EventSource.More.NOW && channel.isWritable()) {
            more = events.slow() ? handOver() : sendSome(events);
        }
        if (more == EventSource.More.NEVER) {
            closed = true;
            exchange.connection().finish(exchange, LastHttpContent.EMPTY_LAST_CONTENT);
            end(null);
        }
        watchForStuck(more == EventSource.More.NOW);
    }

    private EventSource.More handOver() {
        away = true;
        turns.release();
        return EventSource.More.LATER;
    }

    private EventSource.More sendSome(EventSource events) {
        SseEvents out = newEvents();
        EventSource.More more = fill(out, events, false);
        write(out);
        return more;
    }

    /** A client that takes nothing for too long is dropped. */
    private void watchForStuck(boolean full) {
        if (!full) {
            stopWatch();
        } else if (stuck == null) {
            stuck = loop.schedule(this::drop, writeTimeout.toNanos(), TimeUnit.NANOSECONDS);
        }
    }

    private void stopWatch() {
        Future<?> watch = stuck;
        if (watch != null) {
            watch.cancel(false);
            stuck = null;
        }
    }

    private void drop() {
        exchange.connection().abort();
        end(new ClientGoneException());
    }

    private SseEvents newEvents() {
        return new SseEvents(channel.alloc().directBuffer(FIRST_BYTES));
    }

    private void write(SseEvents events) {
        if (events.size() == 0) {
            events.release();
            return;
        }
        lastWriteNanos = System.nanoTime();
        exchange.countResponse(events.size());
        ChannelHandlerContext context = exchange.connection().belowEncoder();
        var _ = context.writeAndFlush(exchange.http10() ? events.bare() : events.chunk(), channel.voidPromise());
    }

    private void lookAround() {
        if (source != null && channel.isActive()) {
            news();
            var _ = loop.schedule(this::lookAround, LOOK_AROUND_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private void scheduleComment(long nanos) {
        var _ = loop.schedule(this::commentIfQuiet, nanos, TimeUnit.NANOSECONDS);
    }

    private void commentIfQuiet() {
        if (closed || !channel.isActive()) {
            return;
        }
        long left = lastWriteNanos + quietNanos - System.nanoTime();
        if (left <= 0) {
            comment();
            left = quietNanos;
        }
        scheduleComment(left);
    }
}
