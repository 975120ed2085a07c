package dev.quire.server.http;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.UnresolvedAddressException;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** A bound port: one or two event loops that never block, and a virtual thread per request. */
public final class HttpServer implements AutoCloseable {
    /** A loop serves tens of thousands of tokens a second; on a small machine a second one is only in the way. */
    private static final int EVENT_LOOPS = Runtime.getRuntime().availableProcessors() > 4 ? 2 : 1;

    private static final long MIN_BUDGET_BYTES = 64L << 20;
    /** Per connection: the kernel would keep megabytes for a client on this machine that does not read. */
    private static final int SEND_BUFFER_BYTES = 128 * 1024;

    private final HttpOptions options;
    private final Router router;
    private final ApiKeys keys;
    private final BodyBudget budget;
    private final EventLoopGroup loops;
    private final ExecutorService workers;
    private final ChannelGroup connections = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);
    private final OpenExchanges exchanges = new OpenExchanges();
    private final Channel listener;
    private volatile boolean draining;

    private HttpServer(HttpOptions options, Router router) throws IOException {
        this.options = options;
        this.router = router;
        keys = new ApiKeys(options.apiKeys());
        budget = new BodyBudget(Math.max(MIN_BUDGET_BYTES, Runtime.getRuntime().maxMemory() / 4));
        loops = new MultiThreadIoEventLoopGroup(
                EVENT_LOOPS, new DefaultThreadFactory("quire-http", true), NioIoHandler.newFactory());
        workers = Executors.newThreadPerTaskExecutor(
                Thread.ofVirtual().name("quire-request-", 0).factory());
        listener = bind();
    }

    /**
     * Binds the port and begins to answer.
     *
     * @throws IOException when the port cannot be bound, with host and port in the message
     */
    public static HttpServer start(HttpOptions options, Router router) throws IOException {
        return new HttpServer(options, router);
    }

    private Channel bind() throws IOException {
        ServerBootstrap bootstrap = new ServerBootstrap()
                .group(loops)
                .channel(NioServerSocketChannel.class)
                .option(ChannelOption.SO_BACKLOG, 1024)
                .option(ChannelOption.SO_REUSEADDR, true)
                .childOption(ChannelOption.TCP_NODELAY, true)
                .childOption(ChannelOption.SO_SNDBUF, SEND_BUFFER_BYTES)
                .childOption(ChannelOption.AUTO_READ, false)
                .childOption(ChannelOption.ALLOW_HALF_CLOSURE, true)
                .childHandler(new ChannelInitializer<SocketChannel>() {
                    @Override
                    protected void initChannel(SocketChannel channel) {
                        accept(channel);
                    }
                });
        var bound = bootstrap.bind(options.host(), options.port()).awaitUninterruptibly();
        if (!bound.isSuccess()) {
            stopThreads();
            Throwable cause = bound.cause();
            String reason = cause instanceof UnresolvedAddressException ? "unknown host" : cause.getMessage();
            throw new IOException("cannot listen on " + options.host() + ":" + options.port() + ": " + reason, cause);
        }
        return bound.channel();
    }

    private void accept(SocketChannel channel) {
        if (connections.size() >= options.maxConnections()) {
            var _ = channel.close();
            return;
        }
        connections.add(channel);
        HttpPipeline.fill(channel, this);
    }

    /** The port that was bound. */
    public int port() {
        return ((InetSocketAddress) listener.localAddress()).getPort();
    }

    /** Connections open now. */
    public int connections() {
        return connections.size();
    }

    /** From now on every answer closes its connection. */
    public void drain() {
        draining = true;
    }

    /** Waits until the last byte of every answer is out, at most so long; whether it is. */
    public boolean awaitAnswered(Duration patience) throws InterruptedException {
        return exchanges.awaitNone(patience);
    }

    /** Closes the port and every connection, and waits for the requests' threads. */
    @Override
    public void close() {
        draining = true;
        listener.close().awaitUninterruptibly();
        connections.close().awaitUninterruptibly(1, TimeUnit.SECONDS);
        stopThreads();
    }

    private void stopThreads() {
        workers.shutdownNow();
        try {
            workers.awaitTermination(5, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly(2, TimeUnit.SECONDS);
    }

    HttpOptions options() {
        return options;
    }

    Router router() {
        return router;
    }

    ApiKeys keys() {
        return keys;
    }

    BodyBudget budget() {
        return budget;
    }

    OpenExchanges exchanges() {
        return exchanges;
    }

    ExecutorService workers() {
        return workers;
    }

    boolean draining() {
        return draining;
    }
}
