package dev.quire.kernels;

import java.util.List;

/**
 * The devices that run one model together, a rank each (tensor parallelism); one device where there is one rank. Several
 * ranks are each driven by a thread of their own, run steps of the same sizes, and meet in {@link Op.AllReduce} and
 * {@link Op.AllGather}.
 */
public final class DeviceGroup implements AutoCloseable {
    private final List<? extends Backend> ranks;
    private final Runnable abort;

    private DeviceGroup(List<? extends Backend> ranks, Runnable abort) {
        this.ranks = List.copyOf(ranks);
        this.abort = abort;
    }

    static DeviceGroup alone(Backend device) {
        return new DeviceGroup(List.of(device), () -> {});
    }

    static DeviceGroup of(List<NativeBackend> ranks) {
        return new DeviceGroup(ranks, () -> ranks.getFirst().abortGroup());
    }

    /** Number of ranks. */
    public int size() {
        return ranks.size();
    }

    /** The device of a rank, counted from 0. */
    public Backend rank(int index) {
        return ranks.get(index);
    }

    /**
     * To be called when one rank of several cannot go on: the others do not wait for it any more, and what runs or is
     * submitted from now on fails on every rank. Any thread.
     */
    public void abort() {
        abort.run();
    }

    /** Closes the devices, none of which may be running. */
    @Override
    public void close() {
        for (Backend rank : ranks) {
            rank.close();
        }
    }
}
