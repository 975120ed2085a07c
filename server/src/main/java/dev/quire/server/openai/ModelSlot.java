package dev.quire.server.openai;

import java.util.concurrent.atomic.AtomicReference;

/** The server's state as clients see it: loading, ready, draining, failed. Any thread. */
public final class ModelSlot {
    /** Where the server stands. */
    public sealed interface State {
        /** The port is open, the model is not there yet. */
        record Loading(String phase, int percent) implements State {}

        /** Takes work. */
        record Ready(ServedModel model) implements State {}

        /** Finishes what runs, takes nothing. */
        record Draining() implements State {}

        /** Will never take work again. */
        record Failed(String message) implements State {}
    }

    private final AtomicReference<State> state = new AtomicReference<>(new State.Loading("starting", 0));

    /** The state now; an engine that died or hangs counts as failed. */
    public State state() {
        State now = state.get();
        boolean sick =
                now instanceof State.Ready ready && !ready.model().healthy().getAsBoolean();
        return sick ? new State.Failed("the engine does not serve") : now;
    }

    /** Says how far loading is; ignored once loading is over. */
    public void loading(String phase, int percent) {
        state.updateAndGet(s -> s instanceof State.Loading ? new State.Loading(phase, percent) : s);
    }

    /** The model is there; ignored when the server is going down already. */
    public void ready(ServedModel model) {
        state.updateAndGet(s -> s instanceof State.Loading ? new State.Ready(model) : s);
    }

    /** Takes nothing more. */
    public void drain() {
        state.updateAndGet(s -> s instanceof State.Failed ? s : new State.Draining());
    }

    /** Loading failed, or the engine died. */
    public void failed(String message) {
        state.set(new State.Failed(message));
    }

    /** The model, or a 503 that says why there is none. */
    ServedModel require() {
        return switch (state()) {
            case State.Ready ready -> ready.model();
            case State.Loading loading ->
                throw new ApiError.Unavailable(
                                "The model is still loading (" + loading.phase() + ", " + loading.percent() + " %).", 2)
                        .exception();
            case State.Draining _ -> throw new ApiError.Unavailable("The server is shutting down.", 5).exception();
            case State.Failed _ ->
                throw new ApiError.Unavailable("The engine has failed; the server must be restarted.", 30).exception();
        };
    }
}
