package dev.quire.model;

/** Runs batches on a device, in the order in which they are launched. Used by the engine thread alone. */
public interface ModelRunner extends AutoCloseable {
    /**
     * What fits.
     *
     * @param maxTokens tokens in one step
     * @param maxSequences rows in one step
     * @param maxModelLen positions of one sequence
     * @param maxScores scored positions and guessed tokens in one step (rows of logits beyond one per row)
     * @param maxDraws tokens drawn in one step, without those that verify guesses
     * @param maxExtras biases (forbidden tokens among them) that the draws of one step may list, and as many counted
     *     tokens
     * @param kvBlocks blocks in the KV cache
     * @param blockTokens positions in a block
     * @param hostBlocks blocks in the memory of the host below the KV cache; 0 = none
     */
    record Limits(
            int maxTokens,
            int maxSequences,
            int maxModelLen,
            int maxScores,
            int maxDraws,
            int maxExtras,
            int kvBlocks,
            int blockTokens,
            int hostBlocks) {
        /** Without a tier on the host. */
        public Limits(
                int maxTokens,
                int maxSequences,
                int maxModelLen,
                int maxScores,
                int maxDraws,
                int maxExtras,
                int kvBlocks,
                int blockTokens) {
            this(maxTokens, maxSequences, maxModelLen, maxScores, maxDraws, maxExtras, kvBlocks, blockTokens, 0);
        }
    }

    Limits limits();

    /** How many batches may be in flight at once. */
    default int queue() {
        return 1;
    }

    /**
     * Starts a batch, behind those in flight, and returns while the device computes.
     *
     * @throws IllegalArgumentException when the batch does not fit the limits; nothing has been started then
     * @throws IllegalStateException when {@link #queue} batches are in flight
     */
    Pending launch(Batch batch);

    /** A batch in flight. */
    interface Pending {
        /** Waits for the batch, which is the first of those in flight. @throws dev.quire.kernels.KernelException when the device failed */
        StepOutput await();
    }

    @Override
    void close();
}
