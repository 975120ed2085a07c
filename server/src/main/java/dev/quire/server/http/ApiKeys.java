package dev.quire.server.http;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The keys that open the API. Compares digests of equal length in constant time, all of them for every request. */
final class ApiKeys {
    private static final String SCHEME = "bearer ";
    private final List<byte[]> digests;

    ApiKeys(List<String> keys) {
        digests = keys.stream().map(ApiKeys::sha256).toList();
    }

    boolean required() {
        return !digests.isEmpty();
    }

    /** Whether either header carries one of the keys. */
    boolean admits(@Nullable String authorization, @Nullable String apiKeyHeader) {
        if (!required()) {
            return true;
        }
        boolean byBearer = matches(bearer(authorization));
        boolean byHeader = matches(apiKeyHeader);
        return byBearer || byHeader;
    }

    private static @Nullable String bearer(@Nullable String authorization) {
        if (authorization == null || !authorization.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
            return null;
        }
        return authorization.substring(SCHEME.length()).strip();
    }

    private boolean matches(@Nullable String key) {
        if (key == null) {
            return false;
        }
        byte[] digest = sha256(key);
        boolean found = false;
        for (byte[] known : digests) {
            found |= MessageDigest.isEqual(known, digest);
        }
        return found;
    }

    private static byte[] sha256(String key) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
