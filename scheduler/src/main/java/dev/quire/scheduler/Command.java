package dev.quire.scheduler;

/** What other threads ask of the engine thread. */
sealed interface Command {
    /** A request was accepted. */
    record Submit(ActiveRequest request) implements Command {}

    /** A consumer is no longer interested. */
    record Abort(ActiveRequest request) implements Command {}

    /** A consumer has enough of one choice, for a reason. */
    record EndChoice(ActiveRequest request, int choice, FinishReason reason) implements Command {}

    /** The engine is to end now. */
    record Close() implements Command {}
}
