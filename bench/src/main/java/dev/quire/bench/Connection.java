package dev.quire.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import org.jspecify.annotations.Nullable;

/** A socket that carries one request after another. Used by the thread of its {@link LoadLoop}. */
final class Connection {
    private final SocketChannel channel;
    private final SelectionKey key;
    private @Nullable Exchange current;
    private int sent;

    private Connection(SocketChannel channel, Selector selector) throws IOException {
        this.channel = channel;
        key = channel.register(selector, SelectionKey.OP_READ, this);
    }

    /** Connects, and blocks meanwhile: what is measured is near. */
    static Connection open(Target target, Selector selector) throws IOException {
        SocketChannel channel = SocketChannel.open(target.socketAddress());
        try {
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            channel.configureBlocking(false);
            return new Connection(channel, selector);
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    /** What it carries; null when idle. */
    @Nullable
    Exchange current() {
        return current;
    }

    /** Whether it has carried a request before, so that the server may have closed it meanwhile. */
    boolean reused() {
        return sent > 1;
    }

    void send(Exchange exchange) throws IOException {
        current = exchange;
        sent++;
        write(exchange);
    }

    private void write(Exchange exchange) throws IOException {
        channel.write(exchange.unsent());
        int wanted =
                exchange.unsent().hasRemaining() ? SelectionKey.OP_READ | SelectionKey.OP_WRITE : SelectionKey.OP_READ;
        if (key.interestOps() != wanted) {
            key.interestOps(wanted);
        }
    }

    /**
     * Goes on with what the socket is ready for.
     *
     * @return whether the answer is whole, or the server has closed an idle connection
     * @throws IOException when the connection or the answer broke
     */
    boolean ready(byte[] buffer) throws IOException {
        Exchange exchange = current;
        if (exchange != null && key.isWritable()) {
            write(exchange);
        }
        int read;
        do {
            read = channel.read(ByteBuffer.wrap(buffer));
            if (exchange == null) {
                return true;
            }
            if (read < 0) {
                exchange.endOfStream();
            } else if (read > 0) {
                exchange.received(buffer, read, System.nanoTime());
            }
        } while (read == buffer.length && !exchange.ended());
        return exchange.ended();
    }

    /** Takes the exchange off; whether the connection can carry another one. */
    boolean release() {
        Exchange exchange = current;
        current = null;
        return exchange != null && exchange.ended() && !exchange.closes();
    }

    void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
