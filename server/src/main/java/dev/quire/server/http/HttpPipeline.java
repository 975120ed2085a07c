package dev.quire.server.http;

import io.netty.channel.socket.SocketChannel;
import io.netty.handler.codec.http.HttpResponseEncoder;

/** What stands between a socket and the endpoints. */
final class HttpPipeline {
    /** Name of the stage that frames responses. */
    static final String ENCODER = "encoder";

    private HttpPipeline() {}

    static void fill(SocketChannel channel, HttpServer server) {
        ConnectionHandler connection = new ConnectionHandler(server, channel);
        channel.pipeline()
                .addLast("decoder", new StrictRequestDecoder(connection::bytesArrived))
                .addLast(ENCODER, new HttpResponseEncoder())
                .addLast("connection", connection);
    }
}
