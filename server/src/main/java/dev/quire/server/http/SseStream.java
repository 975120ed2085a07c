package dev.quire.server.http;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.LastHttpContent;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * An open stream of server-sent events. {@link #send} waits while the client is slow, so what feeds the stream is slowed
 * down too and memory stays bounded. Written by one thread; comments are sent in the pauses.
 */
public final class SseStream {
    private static final byte[] DATA = "data: ".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] END = "\n\n".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] COMMENT = ": keep-alive\n\n".getBytes(StandardCharsets.US_ASCII);

    private final Exchange exchange;
    private final Channel channel;
    private final Duration writeTimeout;
    private final long quietNanos;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private volatile boolean closed;
    private volatile long lastWriteNanos = System.nanoTime();

    SseStream(Exchange exchange, Channel channel, Duration writeTimeout, Duration keepAlive) {
        this.exchange = exchange;
        this.channel = channel;
        this.writeTimeout = writeTimeout;
        this.quietNanos = keepAlive.toNanos();
        if (quietNanos > 0) {
            scheduleComment(quietNanos);
        }
    }

    /**
     * Sends one event and waits until the client has taken enough of what was sent before.
     *
     * @param data without line breaks; not written by anyone afterwards
     * @throws ClientGoneException when nobody reads, or nothing was taken for the write timeout
     */
    public void send(byte[] data) throws InterruptedException {
        if (exchange.gone()) {
            throw new ClientGoneException();
        }
        write(Unpooled.wrappedBuffer(DATA, data, END));
        awaitWritable();
    }

    /** Ends the stream; the connection can serve another request. */
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        exchange.connection().finish(exchange, LastHttpContent.EMPTY_LAST_CONTENT);
    }

    boolean closed() {
        return closed;
    }

    /** Sends a comment, which clients ignore. Any thread. */
    void comment() {
        // Through the queue even on the event loop: the response's head may still be waiting there.
        channel.eventLoop().execute(() -> {
            if (!closed && channel.isWritable()) {
                write(Unpooled.wrappedBuffer(COMMENT));
            }
        });
    }

    void signal() {
        lock.lock();
        try {
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private void write(ByteBuf bytes) {
        lastWriteNanos = System.nanoTime();
        exchange.countResponse(bytes.readableBytes());
        var _ = channel.writeAndFlush(new DefaultHttpContent(bytes))
                .addListener(exchange.connection().closeOnFailure());
    }

    private void awaitWritable() throws InterruptedException {
        if (channel.isWritable()) {
            return;
        }
        lock.lock();
        try {
            long left = writeTimeout.toNanos();
            while (!channel.isWritable() && !exchange.gone()) {
                if (left <= 0) {
                    exchange.connection().abort();
                    throw new ClientGoneException();
                }
                left = changed.awaitNanos(left);
            }
        } finally {
            lock.unlock();
        }
        if (exchange.gone()) {
            throw new ClientGoneException();
        }
    }

    private void scheduleComment(long nanos) {
        var _ = channel.eventLoop().schedule(this::commentIfQuiet, nanos, TimeUnit.NANOSECONDS);
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
