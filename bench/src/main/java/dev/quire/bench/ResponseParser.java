package dev.quire.bench;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/**
 * Takes an HTTP/1.1 response in pieces of any size and hands its body on as it comes. One response; one thread.
 */
final class ResponseParser {
    private static final int MAX_LINE = 1 << 16;

    /** Takes the body. */
    interface Body {
        /** Bytes {@code from} to {@code to} of {@code data}, which is used again afterwards. */
        void bytes(byte[] data, int from, int to) throws IOException;
    }

    private enum State {
        STATUS,
        FIELD,
        CHUNK_SIZE,
        CHUNK,
        CHUNK_END,
        TRAILER,
        LENGTH,
        UNTIL_CLOSE,
        ENDED
    }

    private final Body body;
    private final ByteArrayOutputStream line = new ByteArrayOutputStream(128);
    private State state = State.STATUS;
    private int status;
    private long left; // of the chunk or the body
    private boolean chunked;
    private boolean hasLength;
    private boolean closes;

    ResponseParser(Body body) {
        this.body = body;
    }

    /** Of the response; 0 before it is known. */
    int status() {
        return status;
    }

    boolean started() {
        return state != State.STATUS || line.size() > 0;
    }

    boolean ended() {
        return state == State.ENDED;
    }

    /** Whether the server will close the connection after this response. */
    boolean closes() {
        return closes;
    }

    /**
     * Takes bytes {@code from} to {@code to}.
     *
     * @throws IOException when they are no HTTP/1.1 response, or what takes the body throws it
     */
    void feed(byte[] data, int from, int to) throws IOException {
        int at = from;
        while (at < to) {
            switch (state) {
                case STATUS, FIELD, CHUNK_SIZE, CHUNK_END, TRAILER -> {
                    byte b = data[at++];
                    if (b == '\n') {
                        endLine();
                    } else if (b != '\r') {
                        if (line.size() >= MAX_LINE) {
                            throw new IOException("a line of the response's head is longer than " + MAX_LINE);
                        }
                        line.write(b);
                    }
                }
                case CHUNK, LENGTH -> {
                    int end = (int) Math.min(to, at + left);
                    body.bytes(data, at, end);
                    left -= end - at;
                    at = end;
                    if (left == 0) {
                        state = state == State.CHUNK ? State.CHUNK_END : State.ENDED;
                    }
                }
                case UNTIL_CLOSE -> {
                    body.bytes(data, at, to);
                    at = to;
                }
                case ENDED -> throw new IOException("bytes after the end of the response");
            }
        }
    }

    /**
     * Notes that the server has closed the connection.
     *
     * @throws IOException when the response was not at its end
     */
    void endOfStream() throws IOException {
        if (state == State.UNTIL_CLOSE) {
            state = State.ENDED;
        } else if (state != State.ENDED) {
            throw new IOException("the server closed the connection inside a response");
        }
    }

    private void endLine() throws IOException {
        String text = line.size() == 0 ? "" : line.toString(StandardCharsets.ISO_8859_1);
        line.reset();
        switch (state) {
            case STATUS -> status(text);
            case FIELD -> field(text);
            case CHUNK_SIZE -> chunkSize(text);
            case CHUNK_END -> state = State.CHUNK_SIZE;
            case TRAILER -> state = text.isEmpty() ? State.ENDED : State.TRAILER;
            default -> throw new IllegalStateException("no line is expected in " + state);
        }
    }

    private void status(String text) throws IOException {
        if (!text.matches("HTTP/1\\.[01] \\d{3}( .*)?")) {
            throw new IOException("not an HTTP/1.1 response: '" + text + "'");
        }
        closes = text.startsWith("HTTP/1.0");
        status = Integer.parseInt(text.substring(9, 12));
        state = State.FIELD;
    }

    private void field(String text) throws IOException {
        if (text.isEmpty()) {
            endHead();
            return;
        }
        int colon = text.indexOf(':');
        if (colon < 0) {
            throw new IOException("not a header field: '" + text + "'");
        }
        String value = text.substring(colon + 1).trim();
        switch (text.substring(0, colon).toLowerCase(Locale.ROOT)) {
            case "transfer-encoding" -> chunked = value.equalsIgnoreCase("chunked");
            case "connection" -> closes = value.equalsIgnoreCase("close");
            case "content-length" -> {
                left = number(value, 10);
                hasLength = true;
            }
            default -> {}
        }
    }

    private void endHead() {
        if (status / 100 == 1) { // an interim response; the real one follows
            state = State.STATUS;
        } else if (chunked) {
            state = State.CHUNK_SIZE;
        } else if (hasLength) {
            state = left == 0 ? State.ENDED : State.LENGTH;
        } else {
            closes = true;
            state = State.UNTIL_CLOSE;
        }
    }

    private void chunkSize(String text) throws IOException {
        int extension = text.indexOf(';');
        left = number((extension < 0 ? text : text.substring(0, extension)).trim(), 16);
        state = left == 0 ? State.TRAILER : State.CHUNK;
    }

    private static long number(String digits, int radix) throws IOException {
        try {
            long value = Long.parseLong(digits, radix);
            if (value >= 0) {
                return value;
            }
        } catch (NumberFormatException e) {
            throw new IOException("not a length: '" + digits + "'", e);
        }
        throw new IOException("not a length: '" + digits + "'");
    }
}
