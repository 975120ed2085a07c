package dev.quire.server.http;

import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.LastHttpContent;
import java.util.Arrays;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Puts the pieces of a request together, within limits. A request that is refused on its head is answered at once when
 * its body is long, after the body (thrown away) when it is short: then the connection can go on. Event loop of one
 * connection only.
 */
final class RequestAssembler {
    private static final byte[] NOTHING = new byte[0];
    /** A refused request's body up to this size is read for the sake of the connection. */
    private static final int FREE_BYTES = 64 * 1024;

    private static final long SKIPPABLE_BYTES = 64 * 1024;

    private final HttpOptions options;
    private final ApiKeys keys;
    private final Router router;
    private final BodyBudget budget;
    private final Runnable sendContinue;

    private @Nullable RequestHead head;
    private Router.@Nullable Decision decision;
    private byte[] body = NOTHING;
    private int length;
    private long skipped;
    private boolean finished;

    RequestAssembler(HttpOptions options, ApiKeys keys, Router router, BodyBudget budget, Runnable sendContinue) {
        this.options = options;
        this.keys = keys;
        this.router = router;
        this.budget = budget;
        this.sendContinue = sendContinue;
    }

    /** Whether a head was read whose body is not complete. */
    boolean inBody() {
        return head != null;
    }

    /** Whether nothing more is read from this connection. */
    boolean finished() {
        return finished;
    }

    /** Takes a head; the request, when it is refused at once. */
    @Nullable
    Request head(HttpRequest message) {
        HeadChecks.Result result = HeadChecks.check(message, options.rootPath());
        RequestHead checked = result.head();
        if (checked == null) {
            return refuseAndClose(null, result.status(), result.message());
        }
        Router.Decision decided = router.decide(checked, keys);
        Reply refusal = refusal(message, decided.refusal());
        decision = new Router.Decision(decided.route(), refusal);
        head = checked;
        boolean expects = message.headers().contains(HttpHeaderNames.EXPECT);
        if (refusal != null && (expects || tooLongToSkip(message))) {
            return refuseAndClose(checked, refusal);
        }
        if (expects && !checked.http10()) {
            sendContinue.run();
        }
        return null;
    }

    /** Takes a piece of the body; the request when it is complete or refused. */
    @Nullable
    Request content(HttpContent piece) {
        RequestHead current = head;
        Router.Decision decided = decision;
        if (current == null || decided == null) {
            return null;
        }
        if (!piece.decoderResult().isSuccess()) {
            return refuseAndClose(current, 400, "The request body is not valid HTTP/1.1 chunks.");
        }
        if (decided.refusal() != null) {
            skipped += piece.content().readableBytes();
            if (skipped > SKIPPABLE_BYTES) {
                return refuseAndClose(current, decided.refusal());
            }
        } else {
            Request refused = append(current, piece.content());
            if (refused != null) {
                return refused;
            }
        }
        return piece instanceof LastHttpContent ? complete(current, decided) : null;
    }

    /** The refusal of whatever is being read, after which nothing more is read. */
    Request refuseAndClose(int status, String message) {
        return refuseAndClose(head, status, message);
    }

    /** Lets go of a body that will never be complete. */
    void dispose() {
        budget.give(charge(body.length));
        reset();
        finished = true;
    }

    private @Nullable Reply refusal(HttpRequest message, @Nullable Reply routing) {
        if (routing != null) {
            return routing;
        }
        String encoding = message.headers().get(HttpHeaderNames.CONTENT_ENCODING);
        if (encoding != null && !encoding.toLowerCase(Locale.ROOT).equals("identity")) {
            return router.error(415, "Request bodies must be sent without Content-Encoding.");
        }
        String expect = message.headers().get(HttpHeaderNames.EXPECT);
        if (expect != null && !HttpHeaderValues.CONTINUE.contentEqualsIgnoreCase(expect)) {
            return router.error(417, "The only expectation understood is \"100-continue\".");
        }
        if (declaredLength(message) > options.maxBodyBytes()) {
            return tooLarge();
        }
        return null;
    }

    private @Nullable Request append(RequestHead current, ByteBuf piece) {
        int added = piece.readableBytes();
        if ((long) length + added > options.maxBodyBytes()) {
            return refuseAndClose(current, tooLarge());
        }
        if (length + added > body.length) {
            int grown = (int) Math.min(options.maxBodyBytes(), Math.max(length + added, body.length * 2L));
            if (!budget.take(charge(grown) - charge(body.length))) {
                return refuseAndClose(
                        current,
                        router.error(503, "Too many large requests are being read at once.")
                                .with("Retry-After", "1"));
            }
            body = Arrays.copyOf(body, grown);
        }
        piece.readBytes(body, length, added);
        length += added;
        return null;
    }

    private Request complete(RequestHead current, Router.Decision decided) {
        byte[] whole = length == body.length ? body : Arrays.copyOf(body, length);
        Request request = new Request(current, whole, charge(body.length), decided, false);
        reset();
        return request;
    }

    private Request refuseAndClose(@Nullable RequestHead current, int status, String message) {
        return refuseAndClose(current, router.error(status, message));
    }

    private Request refuseAndClose(@Nullable RequestHead current, Reply reply) {
        Route route = decision == null ? null : decision.route();
        Request request = new Request(current, NOTHING, 0, new Router.Decision(route, reply), true);
        dispose();
        return request;
    }

    /** Small bodies are free, so that slow large ones never keep them out. */
    private static int charge(int capacity) {
        return capacity <= FREE_BYTES ? 0 : capacity;
    }

    /** Bytes of the body read so far, those of a refused request too. */
    long bodyBytes() {
        return length + skipped;
    }

    private void reset() {
        head = null;
        decision = null;
        body = NOTHING;
        length = 0;
        skipped = 0;
    }

    private Reply tooLarge() {
        return router.error(413, "The request body is longer than the " + options.maxBodyBytes() + " bytes allowed.");
    }

    private static boolean tooLongToSkip(HttpRequest message) {
        return HttpUtil.isTransferEncodingChunked(message) || declaredLength(message) > SKIPPABLE_BYTES;
    }

    private static long declaredLength(HttpRequest message) {
        String text = message.headers().get(HttpHeaderNames.CONTENT_LENGTH);
        return text == null ? 0 : Long.parseLong(text);
    }
}
