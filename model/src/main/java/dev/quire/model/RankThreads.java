package dev.quire.model;

import dev.quire.kernels.Backend;
import dev.quire.kernels.DeviceGroup;
import dev.quire.kernels.KernelException;
import dev.quire.kernels.Step;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Runs each step on all ranks of a group, each driven by a thread of its own. Rank 0 draws the samples, the others run a
 * copy of the step without them. When one fails, the group ends: no other waits for it, and every later step fails.
 */
final class RankThreads implements StepExecutor {
    private static final int STATUS_FAULT = -4;

    private final DeviceGroup group;
    private final List<Rank> ranks = new ArrayList<>();
    private final Semaphore done = new Semaphore(0);
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

    /**
     * @param programs one per rank
     * @param limits of the steps that will be submitted
     */
    RankThreads(DeviceGroup group, List<Backend.Program> programs, Step.Limits limits) {
        this.group = group;
        for (int r = 0; r < group.size(); r++) {
            ranks.add(new Rank(r, group.rank(r), programs.get(r), new Step(limits)));
        }
        ranks.forEach(rank -> rank.thread.start());
    }

    /** The ranks meet after every step. */
    @Override
    public int queue() {
        return 1;
    }

    @Override
    public void submit(Step step) {
        Rank first = ranks.getFirst();
        first.device.check(first.program, step); // what only one rank refuses would end the group
        for (Rank rank : ranks) {
            rank.work.add(step);
        }
    }

    @Override
    public void await() {
        done.acquireUninterruptibly(ranks.size());
        Throwable cause = failure.getAndSet(null);
        if (cause != null) {
            KernelException failed =
                    new KernelException("step on " + ranks.size() + " ranks", STATUS_FAULT, cause.toString());
            failed.initCause(cause);
            throw failed;
        }
    }

    @Override
    public void close() {
        for (Rank rank : ranks) {
            rank.close();
        }
    }

    private final class Rank implements Runnable, AutoCloseable {
        private final int index;
        private final Backend device;
        private final Backend.Program program;
        private final Step copy;
        private final BlockingQueue<Step> work = new ArrayBlockingQueue<>(1);
        private final Thread thread;

        Rank(int index, Backend device, Backend.Program program, Step copy) {
            this.index = index;
            this.device = device;
            this.program = program;
            this.copy = copy;
            thread = Thread.ofPlatform().daemon().name("quire-rank-" + index).unstarted(this);
        }

        @Override
        public void run() {
            try {
                while (true) {
                    run(work.take());
                    done.release();
                }
            } catch (InterruptedException _) {
                // closed
            }
        }

        private void run(Step step) {
            try {
                if (index > 0) {
                    copy.copyUnsampled(step);
                }
                device.submit(program, index > 0 ? copy : step);
                device.await();
            } catch (RuntimeException | Error e) {
                failure.compareAndSet(null, e);
                group.abort();
            }
        }

        @Override
        public void close() {
            thread.interrupt();
            boolean interrupted = false;
            while (thread.isAlive()) {
                try {
                    thread.join();
                } catch (InterruptedException _) {
                    interrupted = true;
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
            copy.close();
        }
    }
}
