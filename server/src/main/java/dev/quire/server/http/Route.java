package dev.quire.server.http;

/**
 * Where an endpoint answers.
 *
 * @param method GET also answers HEAD
 * @param path exact; or, ending in {@code /*}, every longer path with that beginning
 * @param open whether it answers without an API key
 * @param prompt whether the event loop itself answers, ahead of all that waits for a thread
 */
public record Route(String method, String path, boolean open, boolean prompt, Endpoint endpoint) {
    /** A route that asks for an API key when keys are set. */
    public static Route guarded(String method, String path, Endpoint endpoint) {
        return new Route(method, path, false, false, endpoint);
    }

    /** A route that always answers. */
    public static Route open(String method, String path, Endpoint endpoint) {
        return new Route(method, path, true, false, endpoint);
    }

    /** An open route for probes, which must not wait behind other requests: its endpoint never blocks. */
    public static Route probe(String method, String path, Endpoint endpoint) {
        return new Route(method, path, true, true, endpoint);
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
