package dev.quire.scheduler;

import dev.quire.model.LoadedModel;
import dev.quire.model.ModelRunner;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Generates tokens for many requests at once: continuous batching (Orca, Yu et al. 2022) over a paged KV cache. All
 * methods may be called by any thread. The model stays the caller's: close the engine first, then the model.
 */
public final class Engine implements AutoCloseable {
    private static final int RETRY_SECONDS = 1;
    private static final int DRAIN_RETRY_SECONDS = 5;
    private static final long JOIN_MILLIS = 30_000;

    private final EngineConfig config;
    private final ModelRunner.Limits limits;
    private final QueueGate gate;
    private final EngineLoop loop;
    private final LongSupplier clock;
    private final AtomicLong arrivals = new AtomicLong();
    private @Nullable Thread thread;

    /** What became of a request. */
    public sealed interface Submission {
        /** It is in the queue; the generation must be closed. */
        record Accepted(Generation generation) implements Submission {}

        /** It was not taken. */
        record Rejected(Refusal refusal) implements Submission {}
    }

    Engine(
            ModelRunner runner,
            EngineConfig config,
            SchedulingPolicy policy,
            EngineListener listener,
            LongSupplier clock) {
        this.config = config;
        this.clock = clock;
        limits = runner.limits();
        gate = new QueueGate(config.maxQueuedSequences(), config.maxQueuedTokens());
        loop = new EngineLoop(config, runner, policy, gate, listener, clock);
    }

    /** Starts the engine thread for a model. */
    public static Engine start(
            LoadedModel model, EngineConfig config, SchedulingPolicy policy, EngineListener listener) {
        return start(model.runner(), config, policy, listener);
    }

    /** Starts the engine thread for a runner, which nobody else may use from now on. */
    public static Engine start(
            ModelRunner runner, EngineConfig config, SchedulingPolicy policy, EngineListener listener) {
        Engine engine = new Engine(runner, config, policy, listener, System::nanoTime);
        engine.thread = Thread.ofPlatform().name("quire-engine").start(engine.loop);
        return engine;
    }

    /** The most tokens, prompt and output together, that a request can have. */
    public int maxLength() {
        return (int) Math.min(limits.maxModelLen(), (long) limits.kvBlocks() * limits.blockTokens());
    }

    /**
     * Accepts a request or refuses it, at once. Output that would not fit the context is cut.
     *
     * @throws IllegalArgumentException when the request breaks the rules that {@link GenerationRequest} names
     */
    public Submission submit(GenerationRequest request) {
        requireValid(request);
        int prompt = request.prompt().length;
        int most = maxLength();
        if (prompt + Math.min(1, request.maxTokens()) > most) {
            return refused(
                    Refusal.Reason.TOO_LONG,
                    "The prompt has " + prompt + " tokens, but at most " + (most - Math.min(1, request.maxTokens()))
                            + " fit.",
                    0);
        }
        int choices = Math.min(
                limits.maxDraws(), config.maxQueuedSequences() > 0 ? config.maxQueuedSequences() : Integer.MAX_VALUE);
        if (request.n() > choices) {
            return refused(
                    Refusal.Reason.TOO_MANY_CHOICES, "n is " + request.n() + ", but at most " + choices + " fit.", 0);
        }
        long extras = extras(request, most);
        if (extras > limits.maxExtras()) {
            return refused(
                    Refusal.Reason.TOO_MANY_CHOICES,
                    "The biases or penalties of " + request.n() + " choices may list " + extras
                            + " tokens, but at most " + limits.maxExtras() + " fit a step.",
                    0);
        }
        if (!gate.enter(request.n())) {
            return refused(
                    Refusal.Reason.OVERLOADED,
                    "The queue is full: " + gate.sequences() + " of " + config.maxQueuedSequences()
                            + " sequences are unfinished.",
                    RETRY_SECONDS);
        }
        Refusal refusal = closed();
        if (refusal == null && !gate.enterPrompt(prompt)) {
            refusal = new Refusal(
                    Refusal.Reason.OVERLOADED_TOKENS,
                    "The queue is full: " + gate.promptTokens() + " prompt tokens are waiting, at most "
                            + config.maxQueuedTokens() + " may.",
                    RETRY_SECONDS);
        }
        if (refusal != null) {
            gate.leave(request.n());
            loop.mailbox.wake(); // a drain may have seen the places taken
            return new Submission.Rejected(refusal);
        }
        return enqueue(request, Math.min(request.maxTokens(), most - prompt));
    }

    /** The most biases, or tokens counted for penalties, that one step of the request may list. */
    private static long extras(GenerationRequest request, int most) {
        long biases = request.params().biasTokens().length + (long) request.endTokens().length;
        long length = Math.min(most, request.prompt().length + (long) request.maxTokens());
        return request.n() * Math.max(biases, request.params().usesCounts() ? length : 0);
    }

    private Submission enqueue(GenerationRequest request, int maxTokens) {
        ActiveRequest active = new ActiveRequest(
                request, maxTokens, arrivals.getAndIncrement(), clock.getAsLong(), config, loop.state.readers);
        Command.Submit submit = new Command.Submit(active);
        loop.mailbox.send(submit);
        if (loop.death != null && loop.mailbox.retract(submit)) {
            gate.leave(request.n());
            gate.leavePrompt(request.prompt().length);
            return new Submission.Rejected(dead());
        }
        return new Submission.Accepted(
                new TokenStream(active, loop.mailbox, loop::facts, SlowReaders.resumeAt(config)));
    }

    private @Nullable Refusal closed() {
        if (loop.death != null) {
            return dead();
        }
        if (loop.draining) {
            return new Refusal(Refusal.Reason.DRAINING, "The server is shutting down.", DRAIN_RETRY_SECONDS);
        }
        EngineFacts facts = loop.facts();
        if (facts.state() == EngineFacts.State.STALLED) {
            return new Refusal(
                    Refusal.Reason.ENGINE_DEAD,
                    "The engine does not answer: " + facts.detail() + ".",
                    DRAIN_RETRY_SECONDS);
        }
        return null;
    }

    private Refusal dead() {
        return loop.draining
                ? new Refusal(Refusal.Reason.DRAINING, "The server is shutting down.", DRAIN_RETRY_SECONDS)
                : new Refusal(Refusal.Reason.ENGINE_DEAD, String.valueOf(loop.death), 0);
    }

    private static Submission refused(Refusal.Reason reason, String message, int retrySeconds) {
        return new Submission.Rejected(new Refusal(reason, message, retrySeconds));
    }

    private static void requireValid(GenerationRequest request) {
        if (request.prompt().length == 0) {
            throw new IllegalArgumentException("the prompt is empty");
        }
        if (request.n() < 1 || request.maxTokens() < 0) {
            throw new IllegalArgumentException("n is " + request.n() + ", maxTokens " + request.maxTokens());
        }
    }

    /** How the engine is. */
    public EngineFacts facts() {
        return loop.facts();
    }

    /**
     * Takes nothing new and waits until all requests have ended, at most so long.
     *
     * @return whether all have ended
     */
    public boolean drain(Duration timeout) throws InterruptedException {
        loop.draining = true;
        loop.mailbox.wake();
        return loop.drained.await(timeout.toNanos(), TimeUnit.NANOSECONDS);
    }

    /**
     * Ends what still runs with an error and stops the engine thread.
     *
     * @throws IllegalStateException when a step never ends; the model below must then stay open
     */
    @Override
    public void close() {
        loop.draining = true;
        loop.mailbox.send(new Command.Close());
        Thread running = thread;
        if (running == null || running == Thread.currentThread()) {
            return;
        }
        if (!joined(running)) {
            throw new IllegalStateException("the engine thread did not stop within " + JOIN_MILLIS + " ms");
        }
    }

    /** Waits, interrupted or not: the model must not be closed below a running step. */
    private static boolean joined(Thread thread) {
        long deadline = System.nanoTime() + JOIN_MILLIS * 1_000_000;
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return thread.join(Duration.ofNanos(Math.max(0, deadline - System.nanoTime())));
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** For tests: the loop, to be turned by hand. */
    EngineLoop loop() {
        return loop;
    }
}
