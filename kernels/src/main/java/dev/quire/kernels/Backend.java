package dev.quire.kernels;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.OptionalLong;

/**
 * A device: its memory, and the operations of quire.h. Used by one thread at a time. Nothing here knows of sequences or
 * of models. Every size that reaches native code has been checked by the caller of the native function on the Java side.
 */
public interface Backend extends AutoCloseable {
    /**
     * Facts for the start-up line, for sizing and for planning.
     *
     * @param queue programs that may be submitted and not awaited
     */
    record DeviceInfo(String backend, String name, String isa, int threads, int queue, long memoryBytes) {}

    /** A command list made ready to run on this backend. */
    interface Program extends AutoCloseable {
        @Override
        void close();
    }

    DeviceInfo device();

    /** Memory of the device that may still be allocated; empty where it is the host's. */
    OptionalLong freeBytes();

    /** Whether activations and the cache can be float32; else both are bfloat16. */
    boolean keepsFloat32();

    /** Whether one product of stacked matrices is better than a product of each: where each costs a launch of its own. */
    boolean joinsParts();

    /** Buffers that have been allocated or loaded and not closed: zero at the end of a test, or something leaks. */
    int liveBuffers();

    /** Zeroed memory, aligned to 64 bytes. @throws KernelException when there is none left */
    Buffer allocate(long bytes, String label);

    /** Host memory that {@link Op.SwapBlocks} reaches; its contents are unspecified. @throws KernelException when there is none left */
    Buffer allocateHost(long bytes, String label);

    /** Copies host bytes into a buffer. @throws IndexOutOfBoundsException when they do not fit */
    void upload(Buffer destination, long offset, MemorySegment source);

    /** Copies a buffer's bytes to the host. @throws IndexOutOfBoundsException when out of range */
    void download(MemorySegment destination, Buffer source, long offset);

    /**
     * Packs a matrix into the layout of the kernels. {@code source} holds {@code rows} rows of {@code cols} elements of
     * {@code type} without gaps, and is not needed afterwards.
     *
     * @throws IllegalArgumentException when {@code source} has another size than the shape asks for
     */
    Weight load(MemorySegment source, DType type, long rows, int cols, String label);

    /**
     * Checks the operands of each operation against each other and makes the list ready to run.
     *
     * @throws IllegalArgumentException naming the operation and the operand that does not fit
     */
    Program compile(List<Op> operations);

    /** A step buffer that fits the limits. */
    Step newStep(Step.Limits limits);

    /**
     * Refuses what {@link #submit} would refuse of a step's numbers; any thread, also while another step runs.
     *
     * @throws IllegalArgumentException when the step's numbers are out of the program's range
     */
    void check(Program program, Step step);

    /**
     * Takes the memory that the program needs on a step like this one and runs nothing: a later step of no more tokens,
     * sequences, rows, samples and positions finds it there.
     *
     * @throws IllegalArgumentException when the step's numbers are out of the program's range
     * @throws IllegalStateException while a program is running
     * @throws KernelException when there is not enough
     */
    void reserve(Program program, Step step);

    /**
     * Starts the program on the step, behind those submitted before, and returns; the step must not be written until it has
     * been awaited. Where programs queue, it may carry tokens that the step submitted before it draws.
     *
     * @throws IllegalArgumentException when the step's numbers are out of the program's range (checked before any
     *     native code sees them)
     * @throws IllegalStateException when as many programs as queue are running
     */
    void submit(Program program, Step step);

    /** Waits for the program submitted first. @throws KernelException when it failed */
    void await();

    /**
     * Ends the device's threads. Closing twice does nothing.
     *
     * @throws IllegalStateException while a program is running, or naming the buffers that are still alive; the backend
     *     stays open then
     */
    @Override
    void close();
}
