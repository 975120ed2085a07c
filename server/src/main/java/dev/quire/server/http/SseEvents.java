package dev.quire.server.http;

import io.netty.buffer.ByteBuf;
import java.nio.charset.StandardCharsets;

/**
 * Server-sent events that go out together: one chunk of the response, however many they are. One thread at a time fills
 * it; the event loop sends it.
 */
public final class SseEvents {
    private static final byte[] DATA = "data: ".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] END = "\n\n".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] LINE_END = "\r\n".getBytes(StandardCharsets.US_ASCII);
    /** Room for a chunk's size in hexadecimal, written when it is known. */
    private static final int SIZE_DIGITS = 8;

    private static final int HEAD = SIZE_DIGITS + 2;

    private final ByteBuf bytes;

    SseEvents(ByteBuf empty) {
        bytes = empty.writeZero(HEAD);
    }

    /**
     * Adds an event.
     *
     * @param data its data, in pieces; without line breaks
     */
    public void add(byte[]... data) {
        bytes.writeBytes(DATA);
        for (byte[] piece : data) {
            bytes.writeBytes(piece);
        }
        bytes.writeBytes(END);
    }

    void addComment(byte[] comment) {
        bytes.writeBytes(comment);
    }

    /** Bytes so far, without what frames them. */
    int size() {
        return bytes.writerIndex() - HEAD;
    }

    /** The events as they are when the connection's end is the response's end. */
    ByteBuf bare() {
        return bytes.readerIndex(HEAD);
    }

    /** The events as one chunk (RFC 9112, 7.1). */
    ByteBuf chunk() {
        byte[] digits = Integer.toHexString(size()).getBytes(StandardCharsets.US_ASCII);
        int start = SIZE_DIGITS - digits.length;
        bytes.setBytes(start, digits);
        bytes.setBytes(SIZE_DIGITS, LINE_END);
        return bytes.writeBytes(LINE_END).readerIndex(start);
    }

    void release() {
        bytes.release();
    }
}
