package dev.quire.server.http;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.DecoderResult;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpRequestDecoder;
import io.netty.handler.codec.http.LastHttpContent;
import java.util.List;

/**
 * Netty's request decoder with its strict defaults, which also refuses folded header lines (obs-fold, RFC 9112 5.2): the
 * base class joins them, and a proxy in front may not. It looks at the bytes that the base class has just consumed as
 * headers.
 */
final class StrictRequestDecoder extends HttpRequestDecoder {
    private final Runnable bytesArrived;
    private boolean inBody;
    private boolean lineStart = true;
    private boolean folded;

    /** The callback runs before each decoding of newly arrived bytes. */
    StrictRequestDecoder(Runnable bytesArrived) {
        super(new HttpDecoderConfig()
                .setMaxInitialLineLength(HttpOptions.MAX_URL_BYTES)
                .setMaxHeaderSize(HttpOptions.MAX_HEADER_BYTES)
                .setMaxChunkSize(64 * 1024)
                .setStrictLineParsing(true)
                .setUseRfc9112TransferEncoding(true)
                .setAllowDuplicateContentLengths(false)
                .setValidateHeaders(true));
        this.bytesArrived = bytesArrived;
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object msg) throws Exception {
        bytesArrived.run();
        super.channelRead(ctx, msg);
    }

    @Override
    protected void decode(ChannelHandlerContext ctx, ByteBuf buffer, List<Object> out) throws Exception {
        int from = buffer.readerIndex();
        int emitted = out.size();
        boolean headers = !inBody;
        super.decode(ctx, buffer, out);
        if (headers) {
            lookForFold(buffer, from, buffer.readerIndex());
        }
        for (int i = emitted; i < out.size(); i++) {
            Object o = out.get(i);
            if (o instanceof HttpRequest request) {
                inBody = true;
                markFold(request);
            }
            if (o instanceof LastHttpContent) {
                inBody = false;
                lineStart = true;
            }
        }
    }

    private void lookForFold(ByteBuf buffer, int from, int to) {
        for (int i = from; i < to; i++) {
            byte b = buffer.getByte(i);
            folded |= lineStart && (b == ' ' || b == '\t');
            lineStart = b == '\n';
        }
    }

    private void markFold(HttpObject message) {
        if (folded && message.decoderResult().isSuccess()) {
            message.setDecoderResult(DecoderResult.failure(new IllegalArgumentException("folded header line")));
        }
    }
}
