package dev.quire.bench;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;

/** The body of a response in HTTP/1.1 chunks; ends after the last one. */
final class ChunkedInput extends InputStream {
    private final InputStream in;
    private long left;
    private boolean first = true;
    private boolean ended;

    ChunkedInput(InputStream in) {
        this.in = in;
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
        if (length == 0) {
            return 0;
        }
        if (left == 0 && !ended) {
            nextChunk();
        }
        if (ended) {
            return -1;
        }
        int read = in.read(target, offset, (int) Math.min(length, left));
        if (read < 0) {
            throw new EOFException("the connection ended inside a chunk");
        }
        left -= read;
        return read;
    }

    private void nextChunk() throws IOException {
        if (!first) {
            SseClient.headerLine(in); // the line end after the previous chunk
        }
        first = false;
        String size = SseClient.headerLine(in);
        int extension = size.indexOf(';');
        String digits = extension < 0 ? size : size.substring(0, extension);
        try {
            left = Long.parseLong(digits.trim(), 16);
        } catch (NumberFormatException e) {
            throw new IOException("not the size of a chunk: '" + size + "'", e);
        }
        if (left == 0) {
            ended = true;
            while (!SseClient.headerLine(in).isEmpty()) {} // trailers
        }
    }
}
