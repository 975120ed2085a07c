package dev.quire.server.http;

/** Writes the body of an error that the HTTP edge itself decides, in the shape of the API. */
@FunctionalInterface
public interface ErrorBodies {
    /** JSON for a status and a message fit for the client. */
    byte[] json(int status, String message);
}
