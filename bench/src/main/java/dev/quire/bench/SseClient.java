package dev.quire.bench;

import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import javax.net.ssl.SSLSocketFactory;
import org.jspecify.annotations.Nullable;

/**
 * An HTTP/1.1 client that does little between the socket and the caller, so that what it measures is the server. A
 * connection is kept for the requests of one client; one thread.
 */
final class SseClient implements AutoCloseable {
    private static final int MAX_LINE = 1 << 16;

    /** Called for each event while it arrives. */
    interface Events {
        void event(String data) throws IOException;
    }

    /** A status other than 200. */
    static final class StatusException extends IOException {
        private static final long serialVersionUID = 1;

        private final int status;

        StatusException(int status, String body) {
            super("HTTP " + status + ": " + body);
            this.status = status;
        }

        int status() {
            return status;
        }
    }

    private record Head(int status, Map<String, String> fields) {
        boolean closes() {
            return fields.getOrDefault("connection", "").equalsIgnoreCase("close");
        }
    }

    private final URI base;
    private final @Nullable String apiKey;
    private @Nullable Socket socket;
    private @Nullable InputStream in;

    SseClient(URI base, @Nullable String apiKey) {
        this.base = base;
        this.apiKey = apiKey;
    }

    /** Posts a JSON body and hands over the events of the answer, up to the end of the response. */
    void stream(String path, byte[] body, Events events) throws IOException {
        InputStream response = exchange("POST", path, body);
        SseReader reader = new SseReader(response);
        for (String data = reader.next(); data != null; data = reader.next()) {
            events.event(data);
        }
    }

    /** The body of a GET that answers 200. */
    String get(String path) throws IOException {
        return new String(exchange("GET", path, new byte[0]).readAllBytes(), StandardCharsets.UTF_8);
    }

    private InputStream exchange(String method, String path, byte[] body) throws IOException {
        boolean fresh = socket == null;
        try {
            send(method, path, body);
            return response();
        } catch (StatusException e) {
            throw e;
        } catch (IOException e) {
            reset();
            if (fresh) {
                throw e;
            }
        }
        send(method, path, body); // the server had closed the idle connection
        return response();
    }

    private void send(String method, String path, byte[] body) throws IOException {
        if (socket == null) {
            connect();
        }
        StringBuilder head = new StringBuilder(256)
                .append(method)
                .append(' ')
                .append(base.getRawPath() == null ? "" : base.getRawPath().replaceAll("/+$", ""))
                .append(path)
                .append(" HTTP/1.1\r\nHost: ")
                .append(base.getRawAuthority())
                .append("\r\nAccept: text/event-stream, application/json\r\n");
        if (apiKey != null) {
            head.append("Authorization: Bearer ").append(apiKey).append("\r\n");
        }
        if (body.length > 0) {
            head.append("Content-Type: application/json\r\nContent-Length: ")
                    .append(body.length)
                    .append("\r\n");
        }
        byte[] start = head.append("\r\n").toString().getBytes(StandardCharsets.UTF_8);
        byte[] whole = new byte[start.length + body.length];
        System.arraycopy(start, 0, whole, 0, start.length);
        System.arraycopy(body, 0, whole, start.length, body.length);
        Socket open = socket;
        if (open == null) {
            throw new IOException("not connected");
        }
        open.getOutputStream().write(whole);
    }

    private void connect() throws IOException {
        boolean tls = "https".equalsIgnoreCase(base.getScheme());
        int port = base.getPort() >= 0 ? base.getPort() : tls ? 443 : 80;
        Socket opened = tls
                ? SSLSocketFactory.getDefault().createSocket(base.getHost(), port)
                : new Socket(base.getHost(), port);
        opened.setTcpNoDelay(true);
        socket = opened;
        in = new BufferedInputStream(opened.getInputStream(), 1 << 14);
    }

    private InputStream response() throws IOException {
        InputStream source = in;
        if (source == null) {
            throw new IOException("not connected");
        }
        Head head = head(source);
        InputStream body = body(head, source);
        if (head.status() != 200) {
            String text = new String(body.readAllBytes(), StandardCharsets.UTF_8);
            if (head.closes()) {
                reset();
            }
            throw new StatusException(head.status(), text);
        }
        return body;
    }

    private InputStream body(Head head, InputStream source) throws IOException {
        if (head.fields().getOrDefault("transfer-encoding", "").equalsIgnoreCase("chunked")) {
            return new ChunkedInput(source);
        }
        String length = head.fields().get("content-length");
        if (length == null) {
            return source; // up to the end of the connection
        }
        return new ByteArrayInputStream(source.readNBytes(Integer.parseInt(length)));
    }

    private static Head head(InputStream source) throws IOException {
        String status = headerLine(source);
        String[] words = status.split(" ", 3);
        if (words.length < 2 || !words[0].startsWith("HTTP/1.") || !words[1].matches("\\d{3}")) {
            throw new IOException("not an HTTP/1.1 response: '" + status + "'");
        }
        Map<String, String> fields = new HashMap<>();
        for (String line = headerLine(source); !line.isEmpty(); line = headerLine(source)) {
            int colon = line.indexOf(':');
            if (colon > 0) {
                fields.put(
                        line.substring(0, colon).toLowerCase(Locale.ROOT),
                        line.substring(colon + 1).trim());
            }
        }
        return new Head(Integer.parseInt(words[1]), fields);
    }

    /** A line that ends in CR LF (or LF), without its end. */
    static String headerLine(InputStream source) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int b = source.read(); b != '\n'; b = source.read()) {
            if (b < 0 || line.length() > MAX_LINE) {
                throw new EOFException("the connection ended inside a line");
            }
            if (b != '\r') {
                line.append((char) b);
            }
        }
        return line.toString();
    }

    /** Drops the connection; the next request opens another. */
    void reset() {
        Socket open = socket;
        socket = null;
        in = null;
        if (open == null) {
            return;
        }
        try {
            open.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        reset();
    }
}
