package dev.quire.scheduler;

import dev.quire.model.ModelRunner;
import dev.quire.model.StepOutput;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The engine thread: takes commands, and turns what the policy plans into steps. The next step is planned while the last
 * one computes, on the assumption that everybody goes on. Where the device queues steps it is launched at once, and takes
 * the tokens that the last one draws on the device; what is drawn for those who turn out to have ended is dropped. Else,
 * and where the plan depends on the tokens drawn, it waits for them, and who has ended is taken out before the launch.
 */
final class EngineLoop implements Runnable {
    private static final Logger LOG = LoggerFactory.getLogger(EngineLoop.class);
    private static final long LOOK_AROUND_NANOS = 1_000_000_000L;
    /** Making room for a newcomer may take a few turns in which nothing is computed. */
    private static final int PATIENT_TURNS = 1000;

    private static final int UNKNOWN_COST_PATIENCE = 6;

    final Mailbox mailbox = new Mailbox();
    final CountDownLatch drained = new CountDownLatch(1);
    final EngineState state;
    private final SchedulingPolicy policy;
    private final LongSupplier clock;
    private final StepCost cost;
    private final Settlement settlement;
    private final StepRunner steps;
    private final SlowReaders readers;
    private final Speculator speculator;

    private StepPlan plan;
    /** The plan before, in flight or done: the next but one is made in it. */
    private StepPlan last;
    /** The step that has been settled and not told of. */
    private EngineListener.@Nullable StepStats settled;

    private long settledNanos;
    private long plans;
    private long stepsDone;
    private int idleTurns;
    private long holdNanos;
    private boolean closing;

    volatile boolean draining;
    /** Why the engine is dead; null while it lives. */
    volatile @Nullable String death;

    // What other threads see of it.
    private volatile int running;
    private volatile int waiting;
    private volatile int kvUsedBlocks;
    private volatile long kvRepairs;
    private volatile long stepsPublished;
    private volatile long busySinceNanos;
    private volatile boolean busy;
    private volatile long patienceNanos;

    EngineLoop(
            EngineConfig config,
            ModelRunner runner,
            SchedulingPolicy policy,
            QueueGate gate,
            EngineListener listener,
            LongSupplier clock) {
        this.policy = policy;
        this.clock = clock;
        state = new EngineState(config, runner.limits(), gate, listener);
        cost = new StepCost(config);
        settlement = new Settlement(state);
        steps = new StepRunner(state, runner, settlement, this::tick);
        readers = new SlowReaders(state);
        speculator = new Speculator(config);
        plan = new StepPlan(state, cost);
        last = new StepPlan(state, cost);
        patienceNanos = config.stallNanos();
    }

    @Override
    public void run() {
        String reason = "The server is shutting down.";
        try {
            while (!closing) {
                if (!turn() && !closing) {
                    busy = false;
                    long longest = readers.anyPaused() ? LOOK_AROUND_NANOS : Long.MAX_VALUE;
                    mailbox.sleep(holdNanos > 0 ? Math.min(holdNanos, longest) : longest);
                }
            }
        } catch (RuntimeException | Error e) {
            LOG.error("the engine has failed and takes no more requests", e);
            reason = "The engine has failed.";
        }
        die(reason);
    }

    /** One step; false when there is nothing to do until somebody asks. */
    boolean turn() {
        begin();
        takeCommands();
        readers.look();
        plan.begin(plans++);
        policy.plan(plan);
        plan.finish();
        holdNanos = plan.holdNanos;
        boolean worked = last.pending != null;
        if (worked && canLaunchAhead()) {
            launchAhead();
        } else {
            launchAfter();
        }
        publish();
        boolean more = worked || last.pending != null || (holdNanos == 0 && unblock());
        tell();
        return more;
    }

    /** Whether the plan can be launched before the step in flight has ended. */
    private boolean canLaunchAhead() {
        return steps.queues() && plan.canCarry(last) && !speculator.guesses(plan);
    }

    /** Starts the plan behind the step in flight and settles that one: the device waits for neither. */
    private void launchAhead() {
        plan.carry();
        RuntimeException refusal = start();
        settle(plan);
        if (refusal != null) {
            steps.launchInParts(plan, refusal);
        }
        turnOver();
    }

    /** Settles the step in flight, if there is one, completes the plan with what is known then, and starts it. */
    private void launchAfter() {
        settle(null);
        if (takeCommands()) {
            policy.join(plan);
            plan.finish();
        }
        plan.dropEnded();
        speculator.extend(plan);
        RuntimeException refusal = start();
        if (refusal != null) {
            steps.launchInParts(plan, refusal);
        }
        turnOver();
    }

    private void turnOver() {
        StepPlan free = last;
        last = plan;
        plan = free;
    }

    /** What can wait until the device has work again: statistics, and those who read. */
    private void tell() {
        EngineListener.StepStats step = settled;
        if (step != null) {
            state.news.step(step);
            settled = null;
        }
        state.readers.tell();
    }

    private void begin() {
        tick();
        busy = true;
    }

    private void tick() {
        state.now = clock.getAsLong();
        busySinceNanos = state.now;
    }

    /** Whether there are new requests. */
    private boolean takeCommands() {
        boolean newcomers = false;
        for (Command command = mailbox.poll(); command != null; command = mailbox.poll()) {
            idleTurns = 0;
            switch (command) {
                case Command.Submit(ActiveRequest request) -> {
                    state.accept(request);
                    newcomers = true;
                }
                case Command.EndChoice(ActiveRequest request, int choice, FinishReason reason) ->
                    state.end(request, choice, reason);
                case Command.Abort(ActiveRequest request) -> {
                    for (int c = 0; c < request.spec.n(); c++) {
                        state.end(request, c, FinishReason.ABORT);
                    }
                }
                case Command.Close _ -> closing = true;
            }
        }
        return newcomers;
    }

    /** Waits for the step in flight and takes its results; {@code behind} may be in flight behind it. */
    private void settle(@Nullable StepPlan behind) {
        StepPlan step = last;
        ModelRunner.Pending pending = step.pending;
        if (pending == null) {
            return;
        }
        step.pending = null;
        // Rows may end while they are settled, so what the step held is read before.
        int tokens = step.tokens();
        int singles = step.singles;
        int promptTokens = step.promptTokens;
        int guesses = step.guesses;
        int rows = step.entries.size();
        long allocated = step.reserved > 0 ? step.reserved : state.allocatedSlots();
        long filled = state.filledSlots();
        boolean whole = steps.await(step, pending, behind);
        long nanos = state.now - Math.max(step.launchedNanos, settledNanos);
        settledNanos = state.now;
        if (whole && guesses == 0) {
            cost.observe(singles, promptTokens, nanos);
        }
        if (whole && promptTokens == 0) {
            speculator.observe(singles, guesses, nanos);
        }
        stepsDone++;
        settled = new EngineListener.StepStats(
                state.running.size(),
                state.waiting.size(),
                rows,
                tokens,
                promptTokens - step.promptPadding,
                step.padding,
                settlement.takeDrawn(),
                step.guessing,
                guesses,
                settlement.takeAccepted(),
                used(),
                state.cache.total(),
                allocated,
                filled,
                state.preemptions,
                state.queriedTokens,
                state.cachedTokens,
                state.hostQueriedTokens,
                state.hostCachedTokens,
                state.swappedOut,
                state.swappedIn,
                nanos,
                steps.deviceNanos());
        state.preemptions = 0;
        state.queriedTokens = 0;
        state.cachedTokens = 0;
        state.hostQueriedTokens = 0;
        state.hostCachedTokens = 0;
        state.swappedOut = 0;
        state.swappedIn = 0;
    }

    /** Starts the plan; why it was refused, or null. */
    private @Nullable RuntimeException start() {
        plan.launchedNanos = clock.getAsLong();
        long expected = cost.expected(plan.singles, plan.promptTokens);
        long stall = state.config.stallNanos();
        patienceNanos = expected == 0 ? UNKNOWN_COST_PATIENCE * stall : stall + 4 * expected;
        idleTurns = plan.isEmpty() ? idleTurns : 0;
        return steps.launch(plan);
    }

    private int used() {
        return state.cache.total() - state.cache.available();
    }

    private void publish() {
        running = state.running.size();
        waiting = state.waiting.size();
        kvUsedBlocks = used();
        kvRepairs = state.kvRepairs;
        stepsPublished = stepsDone;
        if (draining && state.gate.sequences() == 0) {
            drained.countDown();
        }
    }

    /** Called when nothing could be planned: checks the books, and lets nobody wait for ever. */
    private boolean unblock() {
        if (idleTurns++ == 0) {
            state.repairBlocks();
        }
        if (state.cache.swaps().anyIn()) {
            // What is to come in holds blocks until the next step, which may be impossible without them.
            state.forgetSwapped(new int[0]);
        }
        for (ActiveRequest request : state.requests) {
            if (!request.paused) {
                if (idleTurns > PATIENT_TURNS) {
                    LOG.error("request {} could not be scheduled on an idle engine", request.spec.id());
                    state.fail(request, "The request could not be scheduled.");
                }
                return true;
            }
        }
        return false;
    }

    private void die(String reason) {
        death = reason;
        takeLast();
        for (ActiveRequest request : List.copyOf(state.requests)) {
            state.fail(request, reason);
        }
        publish();
        tell();
        busy = false;
        drained.countDown();
    }

    private void takeLast() {
        takeLast(last);
        takeLast(plan);
        for (Command command = mailbox.poll(); command != null; command = mailbox.poll()) {
            if (command instanceof Command.Submit(ActiveRequest request)) {
                state.accept(request);
            }
        }
    }

    private static void takeLast(StepPlan step) {
        if (step.pending != null) {
            try {
                StepOutput _ = step.pending.await();
            } catch (RuntimeException e) {
                LOG.warn("the last step failed", e);
            }
        }
    }

    /** How the engine is. Any thread. */
    EngineFacts facts() {
        long age = busy ? Math.max(0, clock.getAsLong() - busySinceNanos) : 0;
        String dead = death;
        EngineFacts.State is = EngineFacts.State.RUNNING;
        String detail = "";
        if (dead != null) {
            is = EngineFacts.State.DEAD;
            detail = dead;
        } else if (age > patienceNanos) {
            is = EngineFacts.State.STALLED;
            detail = "a step has taken " + age / 1_000_000_000 + " seconds so far";
        } else if (draining) {
            is = EngineFacts.State.DRAINING;
        }
        return new EngineFacts(
                is,
                running,
                waiting,
                state.gate.sequences(),
                kvUsedBlocks,
                state.cache.total(),
                stepsPublished,
                age,
                kvRepairs,
                detail);
    }
}
