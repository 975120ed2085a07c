package dev.quire.model;

import dev.quire.kernels.Backend;
import dev.quire.kernels.Step;

/** Runs a model's program on steps, one after the other. Used by one thread. */
interface StepExecutor extends AutoCloseable {
    /**
     * Starts the program, behind the steps submitted before, and returns; the step must not be written until it has been
     * waited for.
     *
     * @throws IllegalArgumentException when the step's numbers are out of the program's range; nothing has been started
     */
    void submit(Step step);

    /** Steps that may be submitted and not waited for. */
    int queue();

    /** Waits for the step submitted first. @throws dev.quire.kernels.KernelException when a device failed */
    void await();

    /** Ends the threads, of which the programs are not a part. Nothing may be running. */
    @Override
    void close();

    /** On one device, whose library has threads of its own. */
    record OneDevice(Backend backend, Backend.Program program) implements StepExecutor {
        @Override
        public int queue() {
            return backend.device().queue();
        }

        @Override
        public void submit(Step step) {
            backend.submit(program, step);
        }

        @Override
        public void await() {
            backend.await();
        }

        @Override
        public void close() {
            // has no threads
        }
    }
}
