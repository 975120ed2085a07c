package dev.quire.model.chat;

/** The template refused the conversation, or went over its limits; the message is fit for the client. */
public final class ChatTemplateException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public ChatTemplateException(String message) {
        super(message);
    }
}
