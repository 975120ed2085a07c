package dev.quire.scheduler;

/** What other threads ask of the engine thread. */
sealed interface Command {
    /** A request was accepted. */
    record Submit(ActiveRequest request) implements Command {}

    /** A consumer is no longer interested. */
    record Abort(ActiveRequest request) implements Command {}

    /** A consumer has enough of one choice. */
    record AbortChoice(ActiveRequest request, int choice) implements Command {}

    /** The engine is to end now. */
    record Close() implements Command {}
}
