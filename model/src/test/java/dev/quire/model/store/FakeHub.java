package dev.quire.model.store;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

/** A Hub on a free port of this machine, with one repository and faults to order. */
final class FakeHub implements AutoCloseable {
    static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

    private final HttpServer server;
    private final Map<String, byte[]> files = new LinkedHashMap<>();
    private final Map<String, Integer> cuts = new ConcurrentHashMap<>();
    private final Map<String, String> announced = new ConcurrentHashMap<>();
    /** One line a request: method-less path, Range and Authorization. */
    final List<String> requests = new CopyOnWriteArrayList<>();

    volatile int status = 200;
    volatile String redirectTo = "";

    FakeHub() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", this::handle);
        server.start();
    }

    String address() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    FakeHub with(String name, byte[] content) {
        files.put(name, content);
        return this;
    }

    /** The next answer with this file ends after so many bytes. */
    void cutAfter(String name, int bytes) {
        cuts.put(name, bytes);
    }

    void announce(String name, String sha256) {
        announced.put(name, sha256);
    }

    long fileRequests() {
        return requests.stream().filter(line -> line.contains("/resolve/")).count();
    }

    private void handle(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath();
        String range = exchange.getRequestHeaders().getFirst("Range");
        String token = exchange.getRequestHeaders().getFirst("Authorization");
        requests.add(path + " " + range + " " + token);
        try (exchange) {
            if (status != 200) {
                exchange.sendResponseHeaders(status, -1);
            } else if (!redirectTo.isEmpty()) {
                exchange.getResponseHeaders().set("Location", redirectTo + path);
                exchange.sendResponseHeaders(302, -1);
            } else if (path.startsWith("/api/models/org/name/revision/")) {
                send(exchange, listing().getBytes(StandardCharsets.UTF_8));
            } else {
                sendFile(exchange, path.substring(path.lastIndexOf('/') + 1), range);
            }
        }
    }

    private static void send(HttpExchange exchange, byte[] body) throws IOException {
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
    }

    private void sendFile(HttpExchange exchange, String name, String range) throws IOException {
        byte[] content = files.get(name);
        if (content == null) {
            exchange.sendResponseHeaders(404, -1);
            return;
        }
        int from = range == null ? 0 : Integer.parseInt(range.replaceAll("[^0-9]", ""));
        if (from > 0) {
            exchange.getResponseHeaders()
                    .set("Content-Range", "bytes " + from + "-" + (content.length - 1) + "/" + content.length);
        }
        exchange.sendResponseHeaders(from > 0 ? 206 : 200, content.length - from);
        Integer cut = cuts.remove(name);
        int to = cut == null ? content.length : cut;
        exchange.getResponseBody().write(content, from, to - from);
        exchange.getResponseBody().flush();
    }

    private String listing() {
        StringBuilder json = new StringBuilder("{\"sha\":\"" + COMMIT + "\",\"siblings\":[");
        String comma = "";
        for (Map.Entry<String, byte[]> file : files.entrySet()) {
            String digest = announced.getOrDefault(file.getKey(), sha256(file.getValue()));
            int size = file.getValue().length;
            json.append(comma)
                    .append("{\"rfilename\":\"")
                    .append(file.getKey())
                    .append("\",\"size\":")
                    .append(size);
            if (file.getKey().endsWith(".gguf") || file.getKey().endsWith(".safetensors")) {
                json.append(",\"lfs\":{\"sha256\":\"")
                        .append(digest)
                        .append("\",\"size\":")
                        .append(size)
                        .append('}');
            }
            json.append('}');
            comma = ",";
        }
        return json.append("]}").toString();
    }

    static String sha256(byte[] content) {
        MessageDigest digest = StoredFile.sha256();
        digest.update(content);
        return StoredFile.hex(digest);
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
