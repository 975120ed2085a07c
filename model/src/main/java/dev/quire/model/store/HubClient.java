package dev.quire.model.store;

import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URLConnection;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import javax.net.ssl.SSLHandshakeException;
import org.jspecify.annotations.Nullable;

/**
 * The HTTP of a Hub: addresses, token, redirects, proxies, and what each status means. The token goes to the Hub's own
 * host only, never to a storage host that the Hub redirects to.
 */
final class HubClient {
    private static final String DEFAULT_ENDPOINT = "https://huggingface.co";
    private static final int MAX_REDIRECTS = 8;
    private static final int MAX_LISTING_BYTES = 16 << 20;

    private final Map<String, String> environment;
    private final Duration readTimeout;
    private final URI endpoint;

    /** @throws ModelStoreException when HF_ENDPOINT is not an address */
    HubClient(Map<String, String> environment, Duration readTimeout) {
        this.environment = environment;
        this.readTimeout = readTimeout;
        this.endpoint = endpoint(environment.getOrDefault("HF_ENDPOINT", DEFAULT_ENDPOINT));
    }

    private static URI endpoint(String text) {
        String base = text.isBlank() ? DEFAULT_ENDPOINT : text.strip().replaceAll("/+$", "");
        try {
            URI uri = URI.create(base);
            if (uri.getHost() != null && ("https".equals(uri.getScheme()) || "http".equals(uri.getScheme()))) {
                return uri;
            }
        } catch (IllegalArgumentException e) {
            throw new ModelStoreException("HF_ENDPOINT is '" + text + "', which is not an address", e);
        }
        throw new ModelStoreException(
                "HF_ENDPOINT is '" + text + "', it must be like https://host or http://host:port");
    }

    URI endpoint() {
        return endpoint;
    }

    /** The repository's description: commit, files, sizes and digests, as JSON. */
    byte[] listing(String repository, String revision) throws IOException {
        URI address =
                URI.create(endpoint + "/api/models/" + repository + "/revision/" + encoded(revision) + "?blobs=true");
        HttpURLConnection connection = open(address, 0);
        try (InputStream in = connection.getInputStream()) {
            byte[] body = in.readNBytes(MAX_LISTING_BYTES + 1);
            if (body.length > MAX_LISTING_BYTES) {
                throw new ModelStoreException(address + " answers more than " + MAX_LISTING_BYTES + " bytes");
            }
            return body;
        }
    }

    /**
     * Opens a file for reading from a byte on. The answer's status is 200 (whole file), 206 (from that byte on) or 416
     * (there is nothing from that byte on).
     *
     * @throws ModelStoreException when trying again cannot help: no such file, no permission
     * @throws IOException when it may
     */
    HttpURLConnection file(HubFile file, long fromByte) throws IOException {
        return open(
                URI.create(endpoint + "/" + file.repository() + "/resolve/" + encoded(file.revision()) + "/"
                        + encoded(file.name())),
                fromByte);
    }

    private static String encoded(String segment) {
        return URLEncoder.encode(segment, StandardCharsets.UTF_8).replace("+", "%20");
    }

    private HttpURLConnection open(URI address, long fromByte) throws IOException {
        URI at = address;
        for (int hop = 0; hop <= MAX_REDIRECTS; hop++) {
            HttpURLConnection connection = connect(at, fromByte);
            int status = status(connection, at);
            String location = connection.getHeaderField("Location");
            if (status / 100 != 3 || location == null) {
                return accepted(connection, status, at);
            }
            URI next = at.resolve(location);
            if ("https".equals(at.getScheme()) && !"https".equals(next.getScheme())) {
                throw new ModelStoreException(at + " redirects from https to " + next + ", which is not safe");
            }
            at = next;
        }
        throw new ModelStoreException(address + " redirects more than " + MAX_REDIRECTS + " times");
    }

    private HttpURLConnection connect(URI at, long fromByte) throws IOException {
        URLConnection opened = at.toURL().openConnection(new EnvironmentProxy(environment).proxyFor(at));
        if (!(opened instanceof HttpURLConnection connection)) {
            throw new ModelStoreException(at + " is not an HTTP address");
        }
        connection.setInstanceFollowRedirects(false);
        connection.setConnectTimeout((int) readTimeout.toMillis());
        connection.setReadTimeout((int) readTimeout.toMillis());
        connection.setRequestProperty("User-Agent", "quire");
        connection.setRequestProperty("Accept-Encoding", "identity");
        if (fromByte > 0) {
            connection.setRequestProperty("Range", "bytes=" + fromByte + "-");
        }
        token().filter(token -> isEndpoint(at))
                .ifPresent(token -> connection.setRequestProperty("Authorization", "Bearer " + token));
        return connection;
    }

    private Optional<String> token() {
        return Optional.ofNullable(environment.get("HF_TOKEN"))
                .map(String::strip)
                .filter(text -> !text.isEmpty());
    }

    private boolean isEndpoint(URI at) {
        return at.getScheme().equals(endpoint.getScheme())
                && endpoint.getHost().equals(at.getHost())
                && endpoint.getPort() == at.getPort();
    }

    private static int status(HttpURLConnection connection, URI at) throws IOException {
        try {
            return connection.getResponseCode();
        } catch (SSLHandshakeException e) {
            throw new ModelStoreException(
                    at.getHost() + " shows a certificate that this Java does not trust (" + e.getMessage()
                            + "). Behind a proxy that inspects traffic, add its certificate to a trust store and set"
                            + " JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=<file>",
                    e);
        }
    }

    private HttpURLConnection accepted(HttpURLConnection connection, int status, URI at) throws IOException {
        String problem = problem(status, at);
        if (problem != null) {
            connection.disconnect();
            throw new ModelStoreException(problem);
        }
        if (status != 200 && status != 206 && status != 416) {
            connection.disconnect();
            throw new IOException(at + " answers status " + status);
        }
        return connection;
    }

    /** What a status means that will be the same next time; null for the others. */
    private @Nullable String problem(int status, URI at) {
        String remedy = token().isPresent()
                ? "HF_TOKEN is set but has no access: accept the model's terms on its page, or use another token"
                : "set HF_TOKEN to a token that may read it";
        return switch (status) {
            case 401 -> at + " answers 401 (not authorised, or no such repository): check the name, or " + remedy;
            case 403 -> at + " answers 403 (forbidden): " + remedy;
            case 404 -> at + " answers 404 (not found): check the repository, the revision and HF_ENDPOINT";
            case 407 -> "the proxy asks for a password (407): set HTTPS_PROXY to a proxy without one";
            default ->
                status >= 400 && status < 500 && status != 408 && status != 416 && status != 429
                        ? at + " answers " + status
                        : null;
        };
    }
}
