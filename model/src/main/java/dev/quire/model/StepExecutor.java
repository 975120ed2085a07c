package dev.quire.model;

import dev.quire.kernels.Backend;
import dev.quire.kernels.Step;

/** Runs a model's program on steps, one at a time. Used by one thread. */
interface StepExecutor extends AutoCloseable {
    /**
     * Starts the program and returns; the step must not be written until {@link #await} has returned.
     *
     * @throws IllegalArgumentException when the step's numbers are out of the program's range; nothing has been started
     */
    void submit(Step step);

    /** Waits for the step. @throws dev.quire.kernels.KernelException when a device failed */
    void await();

    /** Ends the threads, of which the programs are not a part. Nothing may be running. */
    @Override
    void close();

    /** On one device, whose library has threads of its own. */
    record OneDevice(Backend backend, Backend.Program program) implements StepExecutor {
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
