package dev.quire.kernels;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The buffers of one backend: who is alive, and whether a program may be using them. Both backends keep theirs here, so
 * that ownership, ranges and leaks are judged by one piece of code.
 */
final class DeviceMemory {
    /** How bytes get to the device and back. */
    interface Transfer {
        void write(MemorySegment device, MemorySegment host);

        void read(MemorySegment host, MemorySegment device);
    }

    /** Of memory that the host sees. */
    static final Transfer PLAIN = new Transfer() {
        @Override
        public void write(MemorySegment device, MemorySegment host) {
            device.copyFrom(host);
        }

        @Override
        public void read(MemorySegment host, MemorySegment device) {
            host.copyFrom(device);
        }
    };

    private final Transfer transfer;
    private final Set<DeviceBuffer> live = new LinkedHashSet<>();
    private int running;
    private boolean closed;

    DeviceMemory(Transfer transfer) {
        this.transfer = transfer;
    }

    /** Gives freshly allocated memory an owner; {@code release} is run once, when the buffer is closed. */
    DeviceBuffer track(String label, MemorySegment segment, Runnable release) {
        DeviceBuffer buffer = new DeviceBuffer(this, label, segment, release);
        live.add(buffer);
        return buffer;
    }

    void forget(DeviceBuffer buffer) {
        live.remove(buffer);
    }

    /** The buffer as this backend's own. @throws IllegalArgumentException when it is another's or closed */
    DeviceBuffer own(Buffer buffer) {
        if (!(buffer instanceof DeviceBuffer mine) || mine.memory() != this) {
            throw new IllegalArgumentException("buffer '" + buffer.label() + "' belongs to another backend");
        }
        if (mine.closed()) {
            throw new IllegalArgumentException("buffer '" + buffer.label() + "' is closed");
        }
        return mine;
    }

    /** Number of buffers not closed yet. */
    int liveBuffers() {
        return live.size();
    }

    /** Marks the begin of a run, during which no buffer may be written, read or closed from outside. */
    void beginRun() {
        running++;
    }

    void endRun() {
        if (running == 0) {
            throw new IllegalStateException("await without a submitted program");
        }
        running--;
    }

    /** Runs that have begun and not ended. */
    int running() {
        return running;
    }

    void requireIdle(String what) {
        requireOpen();
        if (running > 0) {
            throw new IllegalStateException("cannot " + what + " while a program is running");
        }
    }

    void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the backend is closed");
        }
    }

    /** Copies host bytes into a buffer. */
    void upload(Buffer destination, long offset, MemorySegment source) {
        requireIdle("write buffer '" + destination.label() + "'");
        transfer.write(slice(own(destination), offset, source.byteSize()), source);
    }

    /** Copies a buffer's bytes to the host. */
    void download(MemorySegment destination, Buffer source, long offset) {
        requireIdle("read buffer '" + source.label() + "'");
        transfer.read(destination, slice(own(source), offset, destination.byteSize()));
    }

    private static MemorySegment slice(DeviceBuffer buffer, long offset, long bytes) {
        if (offset < 0 || bytes > buffer.bytes() - offset) {
            throw new IndexOutOfBoundsException("buffer '" + buffer.label() + "' has " + buffer.bytes() + " bytes, "
                    + bytes + " from " + offset + " do not fit");
        }
        return buffer.segment().asSlice(offset, bytes);
    }

    /**
     * Ends the use of the memory. Returns false when it was closed before.
     *
     * @throws IllegalStateException naming the buffers that are still alive; the backend stays open then
     */
    boolean close() {
        if (closed) {
            return false;
        }
        requireIdle("close the backend");
        if (!live.isEmpty()) {
            List<DeviceBuffer> leaked = new ArrayList<>(live);
            String names = leaked.stream().limit(20).map(DeviceBuffer::label).collect(Collectors.joining(", "));
            throw new IllegalStateException(leaked.size() + " buffers are still alive: " + names);
        }
        closed = true;
        return true;
    }
}
