package dev.quire.scheduler;

import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The consumer's end of a request. */
final class TokenStream implements Generation {
    private static final long LOOK_AROUND_NANOS = 1_000_000_000L;

    private final ActiveRequest request;
    private final Mailbox mailbox;
    private final Supplier<EngineFacts> facts;
    private final int resumeAt;
    private @Nullable TokenEvent last;

    /** @param facts asked when nothing comes, so that no consumer waits for an engine that has stalled or died */
    TokenStream(ActiveRequest request, Mailbox mailbox, Supplier<EngineFacts> facts, int resumeAt) {
        this.request = request;
        this.mailbox = mailbox;
        this.facts = facts;
        this.resumeAt = resumeAt;
    }

    @Override
    public TokenEvent next() throws InterruptedException {
        while (true) {
            if (last != null) {
                return last;
            }
            TokenEvent event = request.ring.poll(LOOK_AROUND_NANOS);
            if (event != null) {
                return read(event);
            }
            lookAround();
        }
    }

    private void lookAround() {
        EngineFacts now = facts.get();
        if (!now.healthy() && request.ring.unread() == 0) {
            last = new TokenEvent.Failed("The engine does not answer: " + now.detail());
            close();
        }
    }

    @Override
    public @Nullable TokenEvent poll() {
        if (last != null) {
            return last;
        }
        TokenEvent event = request.ring.poll();
        if (event == null) {
            lookAround();
            return last;
        }
        return read(event);
    }

    @Override
    public int unread() {
        return request.ring.unread();
    }

    @Override
    public void onNews(Runnable action) {
        request.ring.onNews(action);
    }

    private TokenEvent read(TokenEvent event) {
        if (request.paused && request.ring.unread() <= resumeAt) {
            mailbox.wake();
        }
        if (event instanceof TokenEvent.Finished || event instanceof TokenEvent.Failed) {
            last = event;
        }
        return event;
    }

    @Override
    public void end(int choice, FinishReason reason) {
        if (choice < 0 || choice >= request.spec.n()) {
            throw new IllegalArgumentException("choice " + choice + " of " + request.spec.n());
        }
        if (!request.finished) {
            mailbox.send(new Command.EndChoice(request, choice, reason));
        }
    }

    @Override
    public void close() {
        if (!request.finished) {
            mailbox.send(new Command.Abort(request));
        }
    }
}
