package dev.quire.model;

/** Runs batches on a device. Used by the engine thread alone; one batch is in flight at a time. */
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

    /**
     * Starts a batch and returns while the device computes.
     *
     * @throws IllegalArgumentException when the batch does not fit the limits; nothing has been started then
     */
    Pending launch(Batch batch);

    /** A batch in flight. */
    interface Pending {
        /** Waits for the batch. @throws dev.quire.kernels.KernelException when the device failed */
        StepOutput await();
    }

    @Override
    void close();
}
