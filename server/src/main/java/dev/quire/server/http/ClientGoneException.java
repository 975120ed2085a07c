package dev.quire.server.http;

/** The client closed the connection, or took nothing for the write timeout: nobody reads the answer. */
public final class ClientGoneException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    ClientGoneException() {
        super("the client is gone", null, false, false);
    }
}
