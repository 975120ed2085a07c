package dev.quire.scheduler;

/**
 * How the engine is, for health checks and gauges.
 *
 * @param state what it does
 * @param running sequences that hold blocks
 * @param waiting sequences that wait for blocks
 * @param unfinished choices accepted and not ended, those not yet seen by the engine thread too
 * @param kvUsedBlocks blocks that sequences hold
 * @param kvTotalBlocks blocks in the pool
 * @param steps steps done since start
 * @param nanosInStep age of the step that is being worked on; 0 when idle
 * @param kvRepairs how often the block counts were wrong and were set right
 * @param detail why it is dead or stalled; else empty
 */
public record EngineFacts(
        State state,
        int running,
        int waiting,
        int unfinished,
        int kvUsedBlocks,
        int kvTotalBlocks,
        long steps,
        long nanosInStep,
        long kvRepairs,
        String detail) {
    /** What the engine does. */
    public enum State {
        /** Serves. */
        RUNNING,
        /** Finishes what it has, takes nothing new. */
        DRAINING,
        /** A step takes far longer than expected. */
        STALLED,
        /** Closed, or failed for good. */
        DEAD
    }

    /** Whether requests are being served. */
    public boolean healthy() {
        return state == State.RUNNING || state == State.DRAINING;
    }
}
