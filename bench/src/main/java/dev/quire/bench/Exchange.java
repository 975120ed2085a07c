package dev.quire.bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** One request on its way and what has come of its answer. One thread. */
final class Exchange {
    private static final int MAX_REFUSAL = 1000;

    private final int number;
    private final byte[] request;
    private final long started;
    private final ByteBuffer unsent;
    private final Answer answer = new Answer();
    private final StringBuilder refusal = new StringBuilder();
    private final ResponseParser parser = new ResponseParser(this::body);
    private long lastByte;

    /** Sends these bytes; {@code started} is in nanoseconds. */
    Exchange(int number, byte[] request, long started) {
        this.number = number;
        this.request = request;
        this.started = started;
        unsent = ByteBuffer.wrap(request);
        lastByte = started;
    }

    /** The same request from its beginning, for another connection. */
    Exchange again() {
        return new Exchange(number, request, started);
    }

    int number() {
        return number;
    }

    ByteBuffer unsent() {
        return unsent;
    }

    /** When something came last, in nanoseconds. */
    long lastByte() {
        return lastByte;
    }

    boolean answered() {
        return parser.started();
    }

    boolean ended() {
        return parser.ended();
    }

    boolean closes() {
        return parser.closes();
    }

    void received(byte[] data, int length, long now) throws IOException {
        lastByte = now;
        parser.feed(data, 0, length);
    }

    void endOfStream() throws IOException {
        parser.endOfStream();
    }

    private void body(byte[] data, int from, int to) throws IOException {
        if (parser.status() == 200) {
            answer.feed(data, from, to, lastByte);
        } else if (refusal.length() < MAX_REFUSAL) {
            refusal.append(new String(data, from, to - from, StandardCharsets.UTF_8));
        }
    }

    /**
     * What was measured.
     *
     * @throws IOException when the server refused, or its answer is not as it should be
     */
    Sample sample(int askedTokens) throws IOException {
        if (parser.status() != 200) {
            throw new IOException("HTTP " + parser.status() + ": " + refusal);
        }
        return answer.sample(started, askedTokens);
    }
}
