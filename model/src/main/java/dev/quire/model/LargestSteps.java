package dev.quire.model;

import dev.quire.kernels.Backend;
import dev.quire.kernels.Step;

/**
 * The steps that need the most memory, for {@link Backend#reserve}: a device whose memory the KV cache is to fill must have
 * what steps need before. They name block 0 alone, whatever the cache's size, and store nothing.
 */
final class LargestSteps {
    private static final int NOWHERE = -1;
    /** A kernel that splits contexts takes at most so many tokens of a sequence; more of them fill a device unsplit. */
    private static final int MOST_QUERIES = 16;
    /** A draw of every kind of work at once. */
    private static final Step.SampleSpec DRAW =
            new Step.SampleSpec(1, 0.9f, 0.01f, 50, 1.1f, 0.1f, 0.1f, Step.MAX_LOGPROBS, 1, 0);

    private final Step step;
    private final ModelRunner.Limits limits;
    private final boolean draws;

    private LargestSteps(Step step, ModelRunner.Limits limits, boolean draws) {
        this.step = step;
        this.limits = limits;
        this.draws = draws;
    }

    /**
     * Takes the memory for every step within the limits.
     *
     * @param draws whether the program draws samples
     * @throws dev.quire.kernels.KernelException when there is not enough
     */
    static void reserve(Backend backend, Backend.Program program, ModelRunner.Limits limits, boolean draws) {
        try (Step step = backend.newStep(DeviceRunner.capacity(limits))) {
            LargestSteps steps = new LargestSteps(step, limits, draws);
            steps.fillWithPrompts();
            backend.reserve(program, step);
            int most = Math.min(MOST_QUERIES, limits.maxTokens() / limits.maxSequences());
            for (int queries = 1; queries <= most; queries++) {
                steps.fillWithDecodes(queries);
                backend.reserve(program, step);
            }
        }
    }

    /** As few sequences as hold the most tokens, every row of logits drawn from, and the first by all that draw once more. */
    private void fillWithPrompts() {
        step.clear();
        int left = limits.maxTokens();
        for (int i = 0; i < limits.maxSequences() && left > 0; i++) {
            int tokens = Math.min(left, limits.maxModelLen());
            sequence(tokens);
            left -= tokens;
        }
        for (int i = limits.maxSequences(); draws && i < limits.maxDraws(); i++) {
            step.sample(0, -1, 0, DRAW);
        }
    }

    /** The most sequences, each with its last tokens at the end of the longest context. */
    private void fillWithDecodes(int queries) {
        step.clear();
        for (int i = 0; i < limits.maxSequences(); i++) {
            sequence(Math.min(queries, limits.maxModelLen()));
        }
    }

    private void sequence(int tokens) {
        step.beginSequence();
        int end = limits.maxModelLen();
        for (int i = 0; i < Math.ceilDiv(end, limits.blockTokens()); i++) {
            step.block(0);
        }
        for (int p = end - tokens; p < end; p++) {
            step.token(0, p, NOWHERE);
            if (step.logitsCount() < DeviceRunner.logitsRows(limits)) {
                int row = step.logits();
                if (draws) {
                    step.sample(row, -1, p, DRAW);
                }
            }
        }
    }
}
