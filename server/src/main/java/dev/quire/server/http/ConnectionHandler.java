package dev.quire.server.http;

import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOutboundBuffer;
import io.netty.channel.socket.ChannelInputShutdownEvent;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.util.ReferenceCountUtil;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One connection: requests are answered one after the other in the order in which they came. While one is being
 * answered, at most one read's worth of further requests is taken, then nothing is read; the read that stands open is
 * what notices a client that leaves. Event loop only, but for {@link #send}, {@link #openStream} and {@link #abort}.
 *
 * <p>A closed socket and one closed for writing only look the same from here (both send FIN). So after FIN the
 * connection is probed with bytes that a client skips, an interim response or an event-stream comment: a closed socket
 * answers them with a reset, a half-closed one does not.
 */
final class ConnectionHandler extends ChannelInboundHandlerAdapter {
    private static final int MAX_QUEUED = 16;
    private static final int QUEUED_BYTES = 2048;
    private static final long SLOWEST_BYTES_PER_SECOND = 16 * 1024;
    private static final Duration LINGER = Duration.ofSeconds(1);
    private static final long FIRST_PROBE_MILLIS = 10;
    private static final long LONGEST_PROBE_MILLIS = 10_000;

    private enum Phase {
        HEADER,
        BODY,
        BUSY,
        IDLE,
        LINGER
    }

    private final HttpServer server;
    private final Channel channel;
    private final RequestAssembler assembler;
    private final Deadline deadline;
    private final ArrayDeque<Request> queue = new ArrayDeque<>();
    private @Nullable Exchange current;
    private Phase phase = Phase.HEADER;
    private boolean sawBytes;
    private boolean inputEnded;
    private boolean owesContinue;
    private long untakenBytes;
    private long bodySinceNanos;

    ConnectionHandler(HttpServer server, Channel channel) {
        this.server = server;
        this.channel = channel;
        this.assembler = new RequestAssembler(
                server.options(), server.keys(), server.router(), server.budget(), this::sendContinue);
        this.deadline = new Deadline(channel.eventLoop(), this::deadlineMissed);
    }

    @Override
    public void channelActive(ChannelHandlerContext ctx) {
        enter(Phase.HEADER, server.options().headerTimeout());
        ctx.read();
    }

    /** Called by the decoder before it looks at new bytes. */
    void bytesArrived() {
        sawBytes = true;
        if (phase == Phase.IDLE) {
            enter(Phase.HEADER, server.options().headerTimeout());
        }
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        try {
            if (assembler.finished()) {
                return;
            }
            if (message instanceof HttpRequest request) {
                bodyProgress();
                enqueue(assembler.head(request));
            }
            if (message instanceof HttpContent piece && !assembler.finished()) {
                bodyProgress();
                enqueue(assembler.content(piece));
            }
        } finally {
            ReferenceCountUtil.release(message);
        }
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
        boolean pending = current != null && (assembler.inBody() || !queue.isEmpty());
        if (phase == Phase.LINGER || (!pending && queue.size() < MAX_QUEUED)) {
            ctx.read();
        }
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
        if (!(event instanceof ChannelInputShutdownEvent)) {
            return;
        }
        inputEnded = true;
        if (phase == Phase.LINGER) {
            abort();
        } else if (assembler.inBody()) {
            enqueue(assembler.refuseAndClose(400, "The request body ended early."));
        } else if (current == null) {
            abort();
        } else {
            probeAfter(FIRST_PROBE_MILLIS);
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
        deadline.dispose();
        assembler.dispose();
        queue.forEach(r -> server.budget().give(r.bodyCharge() + QUEUED_BYTES));
        queue.clear();
        Exchange open = current;
        if (open != null) {
            open.disconnected();
            settle(open);
        }
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
        if (current != null) {
            current.writable();
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        abort();
    }

    /** Sends a whole answer. Any thread. */
    void send(Exchange exchange, Reply reply) {
        byte[] body = exchange.headOnly() ? new byte[0] : reply.body();
        DefaultFullHttpResponse response = new DefaultFullHttpResponse(
                HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(reply.status()), Unpooled.wrappedBuffer(body));
        writeHead(exchange, response);
        reply.headers().forEach((name, value) -> response.headers().set(name, value));
        response.headers().set(HttpHeaderNames.CONTENT_TYPE, reply.contentType());
        response.headers().set(HttpHeaderNames.CONTENT_LENGTH, reply.body().length);
        finish(exchange, response);
    }

    /** Sends the last of an answer; a client that stops taking it is dropped. Any thread. */
    void finish(Exchange exchange, HttpObject last) {
        channel.eventLoop().execute(() -> {
            var _ = channel.writeAndFlush(last).addListener(whenSent(exchange));
            if (current == exchange) {
                untakenBytes = untaken();
                deadline.set(server.options().writeTimeout());
            }
        });
    }

    private long untaken() {
        ChannelOutboundBuffer buffer = channel.unsafe().outboundBuffer();
        return buffer == null ? 0 : buffer.totalPendingWriteBytes() - buffer.currentProgress();
    }

    /** Sends the head of an event stream. Any thread. */
    SseStream openStream(Exchange exchange) {
        HttpResponse response = new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK);
        writeHead(exchange, response);
        response.headers()
                .set(HttpHeaderNames.CONTENT_TYPE, "text/event-stream; charset=utf-8")
                .set(HttpHeaderNames.CACHE_CONTROL, HttpHeaderValues.NO_CACHE)
                .set("X-Accel-Buffering", "no");
        if (!exchange.http10()) {
            response.headers().set(HttpHeaderNames.TRANSFER_ENCODING, HttpHeaderValues.CHUNKED);
        }
        var _ = channel.writeAndFlush(response).addListener(closeOnFailure());
        return new SseStream(
                exchange,
                channel,
                server.options().writeTimeout(),
                server.options().sseKeepAlive());
    }

    /** Where bytes go that are framed already. */
    ChannelHandlerContext belowEncoder() {
        return channel.pipeline().context(HttpPipeline.ENCODER);
    }

    /** Cuts the connection. Any thread. */
    void abort() {
        var _ = channel.close();
    }

    ChannelFutureListener closeOnFailure() {
        return ChannelFutureListener.CLOSE_ON_FAILURE;
    }

    /** What follows when the last byte of an answer is out. */
    private ChannelFutureListener whenSent(Exchange exchange) {
        return future -> {
            if (!future.isSuccess()) {
                abort();
            } else if (settle(exchange)) {
                proceed(exchange);
            }
        };
    }

    private void writeHead(Exchange exchange, HttpResponse response) {
        exchange.commonHeaders().forEach((name, value) -> response.headers().set(name, value));
        if (closesAfter(exchange)) {
            response.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
        } else if (exchange.http10()) {
            response.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.KEEP_ALIVE);
        }
    }

    private boolean closesAfter(Exchange exchange) {
        Request request = exchange.request();
        RequestHead head = request.head();
        boolean unframed = exchange.http10() && exchange.streams();
        return request.last() || head == null || !head.keepAlive() || unframed || server.draining();
    }

    /** Closes the books on an exchange; false when they were closed before. */
    private boolean settle(Exchange exchange) {
        if (current != exchange) {
            return false;
        }
        current = null;
        server.exchanges().ended();
        server.budget().give(exchange.request().bodyCharge());
        server.router().observer().finished(exchange.summary());
        return true;
    }

    private void proceed(Exchange answered) {
        if (answered.request().last()) {
            linger();
        } else if (closesAfter(answered)) {
            abort();
        } else if (!queue.isEmpty()) {
            server.budget().give(QUEUED_BYTES);
            dispatch(queue.remove());
            if (queue.isEmpty() && !assembler.inBody()) {
                channel.read(); // so that a client that leaves is noticed
            }
        } else if (inputEnded) {
            abort();
        } else if (assembler.inBody()) {
            bodySinceNanos = System.nanoTime();
            enter(Phase.BODY, server.options().bodyTimeout());
            if (owesContinue) {
                writeContinue();
            }
            channel.read();
        } else {
            enter(Phase.IDLE, server.options().keepAliveTimeout());
            channel.read();
        }
    }

    /** A socket closed with unread bytes resets the connection, and the client loses the answer: read on a little. */
    private void linger() {
        if (inputEnded) {
            abort();
            return;
        }
        enter(Phase.LINGER, LINGER);
        if (channel instanceof DuplexChannel duplex) {
            var _ = duplex.shutdownOutput();
        }
        channel.read();
    }

    private void enqueue(@Nullable Request request) {
        if (request == null) {
            return;
        }
        if (current == null) {
            dispatch(request);
        } else if (server.budget().take(QUEUED_BYTES)) {
            queue.add(request);
        } else {
            server.budget().give(request.bodyCharge());
            abort(); // more heads than there is memory for
        }
    }

    private void dispatch(Request request) {
        Exchange exchange = new Exchange(request, this);
        current = exchange;
        server.exchanges().begun();
        phase = Phase.BUSY;
        owesContinue = false;
        deadline.clear();
        Reply refusal = request.decision().refusal();
        Route route = request.decision().route();
        if (refusal != null || route == null) {
            exchange.reply(refusal == null ? server.router().error(404, "Not found.") : refusal);
        } else if (route.prompt()) {
            server.router().serve(route, exchange);
        } else {
            server.workers().execute(() -> server.router().serve(route, exchange));
        }
    }

    /** More of a body has come: there is time for the next piece, but not for ever for the whole. */
    private void bodyProgress() {
        if (phase == Phase.HEADER) {
            bodySinceNanos = System.nanoTime();
        }
        if (phase == Phase.HEADER || phase == Phase.BODY) {
            Duration patience = server.options().bodyTimeout();
            Duration whole = patience.plusSeconds(assembler.bodyBytes() / SLOWEST_BYTES_PER_SECOND);
            Duration left = whole.minusNanos(System.nanoTime() - bodySinceNanos);
            enter(Phase.BODY, left.compareTo(patience) < 0 ? left : patience);
        }
    }

    private void enter(Phase next, Duration limit) {
        phase = next;
        deadline.set(limit);
    }

    private void deadlineMissed() {
        boolean reading = phase == Phase.HEADER || phase == Phase.BODY;
        long untaken = untaken();
        if (phase == Phase.BUSY && untaken < untakenBytes) {
            untakenBytes = untaken;
            deadline.set(server.options().writeTimeout());
        } else if (reading && sawBytes) {
            enqueue(assembler.refuseAndClose(408, "The request did not arrive in time."));
        } else {
            abort();
        }
    }

    /** The interim answer to a request that waits for it with its body: when its turn has come. */
    private void sendContinue() {
        if (current == null) {
            writeContinue();
        } else {
            owesContinue = true;
        }
    }

    private void writeContinue() {
        owesContinue = false;
        var _ = channel.writeAndFlush(new DefaultFullHttpResponse(
                        HttpVersion.HTTP_1_1, HttpResponseStatus.CONTINUE, Unpooled.EMPTY_BUFFER))
                .addListener(closeOnFailure());
    }

    private void probeAfter(long millis) {
        var _ = channel.eventLoop()
                .schedule(
                        () -> {
                            Exchange open = current;
                            if (open != null && channel.isActive()) {
                                probe(open);
                                probeAfter(Math.min(millis * 3, LONGEST_PROBE_MILLIS));
                            }
                        },
                        millis,
                        TimeUnit.MILLISECONDS);
    }

    private void probe(Exchange open) {
        SseStream stream = open.stream();
        if (stream != null) {
            stream.comment();
        } else if (!open.answered() && !open.http10()) {
            writeContinue();
        }
    }
}
