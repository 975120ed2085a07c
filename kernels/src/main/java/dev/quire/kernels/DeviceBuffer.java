package dev.quire.kernels;

import java.lang.foreign.MemorySegment;

/** The one implementation of {@link Buffer}: host-visible memory and what to do when it is closed. */
final class DeviceBuffer implements Buffer {
    private final DeviceMemory memory;
    private final String label;
    private final MemorySegment segment;
    private final Runnable release;
    private boolean closed;

    DeviceBuffer(DeviceMemory memory, String label, MemorySegment segment, Runnable release) {
        this.memory = memory;
        this.label = label;
        this.segment = segment;
        this.release = release;
    }

    @Override
    public String label() {
        return label;
    }

    @Override
    public long bytes() {
        return segment.byteSize();
    }

    @Override
    public long address() {
        return segment().address();
    }

    DeviceMemory memory() {
        return memory;
    }

    MemorySegment segment() {
        if (closed) {
            throw new IllegalStateException("buffer '" + label + "' is closed");
        }
        return segment;
    }

    boolean closed() {
        return closed;
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        memory.requireIdle("close buffer '" + label + "'");
        closed = true;
        memory.forget(this);
        release.run();
    }

    @Override
    public String toString() {
        return label + " (" + bytes() + " bytes" + (closed ? ", closed)" : ")");
    }
}
