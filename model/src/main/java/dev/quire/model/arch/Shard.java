package dev.quire.model.arch;

/**
 * One rank's part of a model that is split over several (tensor parallelism, Shoeybi et al. 2019): column-parallel
 * matrices give each rank some of their outputs, row-parallel ones take each rank's inputs, and the ranks' products are
 * summed up.
 *
 * @param rank counted from 0
 * @param ranks 1 = the whole model
 */
public record Shard(int rank, int ranks) {
    /** A model that is not split. */
    public static final Shard WHOLE = new Shard(0, 1);

    public Shard {
        if (rank < 0 || rank >= ranks) {
            throw new IllegalArgumentException("rank " + rank + " of " + ranks);
        }
    }

    /** Whether there are other ranks. */
    boolean split() {
        return ranks > 1;
    }

    /** Whether this is the rank that draws tokens. */
    public boolean first() {
        return rank == 0;
    }

    @Override
    public String toString() {
        return "rank " + rank + " of " + ranks;
    }
}
