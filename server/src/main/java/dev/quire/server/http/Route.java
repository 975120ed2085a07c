package dev.quire.server.http;

/**
 * Where an endpoint answers.
 *
 * @param method GET also answers HEAD
 * @param path exact; or, ending in {@code /*}, every longer path with that beginning
 * @param open whether it answers without an API key
 */
public record Route(String method, String path, boolean open, Endpoint endpoint) {
    /** A route that asks for an API key when keys are set. */
    public static Route guarded(String method, String path, Endpoint endpoint) {
        return new Route(method, path, false, endpoint);
    }

    /** A route that always answers. */
    public static Route open(String method, String path, Endpoint endpoint) {
        return new Route(method, path, true, endpoint);
    }

    boolean isPrefix() {
        return path.endsWith("/*");
    }

    boolean matches(String candidate) {
        if (!isPrefix()) {
            return path.equals(candidate);
        }
        int stem = path.length() - 1;
        return candidate.length() > stem && candidate.startsWith(path.substring(0, stem));
    }

    boolean answers(String wanted) {
        return method.equals(wanted) || (method.equals("GET") && wanted.equals("HEAD"));
    }
}
