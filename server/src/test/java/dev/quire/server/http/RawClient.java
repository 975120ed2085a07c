package dev.quire.server.http;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** A socket that sends what it is told, byte by byte, and reads answers by the book. */
public final class RawClient implements AutoCloseable {
    private final Socket socket;
    private final InputStream in;

    /** Connected to a local port; reads give up after 10 seconds. */
    public RawClient(int port) throws IOException {
        this(port, 0);
    }

    /** The same with a receive buffer of about so many bytes, so that what is not read soon holds up the server. */
    public RawClient(int port, int receiveBytes) throws IOException {
        socket = new Socket();
        if (receiveBytes > 0) {
            socket.setReceiveBufferSize(receiveBytes);
        }
        socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
        socket.setSoTimeout(10_000);
        socket.setTcpNoDelay(true);
        in = new BufferedInputStream(socket.getInputStream());
    }

    /** An answer. */
    public record Answer(int status, Map<String, String> headers, String body) {}

    public Socket socket() {
        return socket;
    }

    public RawClient send(String text) throws IOException {
        return send(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    public RawClient send(byte[] bytes) throws IOException {
        socket.getOutputStream().write(bytes);
        socket.getOutputStream().flush();
        return this;
    }

    /** A POST of JSON. */
    public RawClient post(String path, String json) throws IOException {
        byte[] body = json.getBytes(StandardCharsets.UTF_8);
        send("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + body.length
                + "\r\n\r\n");
        return send(body);
    }

    public RawClient get(String path) throws IOException {
        return send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    }

    /** The next final answer; interim ones are skipped. */
    public Answer answer() throws IOException {
        Answer answer = any();
        while (answer.status() < 200) {
            answer = any();
        }
        return answer;
    }

    /** The next answer, interim or not. */
    public Answer any() throws IOException {
        String statusLine = line();
        int status = status(statusLine);
        Map<String, String> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        for (String line = line(); !line.isEmpty(); line = line()) {
            int colon = line.indexOf(':');
            headers.put(line.substring(0, colon), line.substring(colon + 1).strip());
        }
        return new Answer(status, headers, status < 200 ? "" : body(headers));
    }

    /** Reads headers of a stream and leaves its body. */
    public int head() throws IOException {
        String statusLine = line();
        String header = line();
        while (!header.isEmpty()) {
            header = line();
        }
        return status(statusLine);
    }

    /** Some bytes of a body whose head was read; -1 at the end. */
    int read(byte[] piece) throws IOException {
        return in.read(piece);
    }

    private static int status(String statusLine) {
        return Integer.parseInt(statusLine.substring("HTTP/1.1 ".length(), "HTTP/1.1 200".length()));
    }

    /** Whether the server has closed, with nothing more to read; waits for up to the read timeout. */
    public boolean closed() throws IOException {
        try {
            return in.read() < 0;
        } catch (java.net.SocketException e) {
            return true;
        }
    }

    /** The next line without its end. */
    public String line() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int b = in.read(); b != '\n'; b = in.read()) {
            if (b < 0) {
                throw new EOFException("closed after \"" + out.toString(StandardCharsets.UTF_8) + "\"");
            }
            out.write(b);
        }
        return out.toString(StandardCharsets.UTF_8).stripTrailing();
    }

    private String body(Map<String, String> headers) throws IOException {
        if (headers.getOrDefault("Transfer-Encoding", "")
                .toLowerCase(Locale.ROOT)
                .equals("chunked")) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            for (int size = Integer.parseInt(line(), 16); size > 0; size = Integer.parseInt(line(), 16)) {
                out.writeBytes(in.readNBytes(size));
                line();
            }
            line();
            return out.toString(StandardCharsets.UTF_8);
        }
        int length = Integer.parseInt(headers.getOrDefault("Content-Length", "-1"));
        byte[] bytes = length < 0 ? in.readAllBytes() : in.readNBytes(length);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
