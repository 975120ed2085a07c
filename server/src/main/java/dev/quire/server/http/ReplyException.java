package dev.quire.server.http;

/** Ends an {@link Endpoint} with a reply: a refusal decided deep inside. Carries no stack trace. */
public final class ReplyException extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private final transient Reply reply;

    public ReplyException(String message, Reply reply) {
        super(message, null, false, false);
        this.reply = reply;
    }

    /** What the client is told. */
    public Reply reply() {
        return reply;
    }
}
