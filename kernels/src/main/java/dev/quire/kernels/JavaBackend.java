package dev.quire.kernels;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * The plain twin of the native library: interprets a command list in Java, with sums in double, weights in their file
 * type and activations in full float precision. The oracle of the conformance tests, and the last resort where no native
 * library loads. A program runs to its end inside {@link #submit}.
 */
public final class JavaBackend implements Backend {
    private final DeviceMemory memory = new DeviceMemory(DeviceMemory.PLAIN);
    private final JavaThreads threads;
    private @Nullable RuntimeException failure;
    private @Nullable Step current;

    private record JavaProgram(JavaBackend owner, List<Op> operations, ProgramLimits limits) implements Program {
        @Override
        public void close() {
            // holds nothing but Java objects
        }
    }

    /** @param threads compute threads; 0 = as many as this process has processors */
    public JavaBackend(int threads) {
        if (threads < 0) {
            throw new IllegalArgumentException("threads is " + threads + ", allowed: 0 (all processors) or more");
        }
        this.threads = new JavaThreads(threads == 0 ? Runtime.getRuntime().availableProcessors() : threads);
    }

    @Override
    public DeviceInfo device() {
        long bytes = ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean os
                ? os.getTotalMemorySize()
                : Runtime.getRuntime().maxMemory();
        return new DeviceInfo("java", System.getProperty("os.arch", "unknown"), "java", threads.count(), 1, bytes);
    }

    @Override
    public OptionalLong freeBytes() {
        return OptionalLong.empty();
    }

    @Override
    public boolean keepsFloat32() {
        return true;
    }

    @Override
    public boolean joinsParts() {
        return false;
    }

    @Override
    public int liveBuffers() {
        return memory.liveBuffers();
    }

    @Override
    public Buffer allocate(long bytes, String label) {
        return allocateOwn(bytes, label);
    }

    @Override
    public Buffer allocateHost(long bytes, String label) {
        return allocateOwn(bytes, label);
    }

    private DeviceBuffer allocateOwn(long bytes, String label) {
        memory.requireOpen();
        if (bytes < 1) {
            throw new IllegalArgumentException("buffer '" + label + "': " + bytes + " bytes, allowed: at least 1");
        }
        Arena arena = Arena.ofShared();
        try {
            return memory.track(label, arena.allocate(bytes, 64), arena::close);
        } catch (OutOfMemoryError e) {
            arena.close();
            throw new KernelException("allocate '" + label + "'", -2, bytes + " bytes are not to be had");
        }
    }

    @Override
    public void upload(Buffer destination, long offset, MemorySegment source) {
        memory.upload(destination, offset, source);
    }

    @Override
    public void download(MemorySegment destination, Buffer source, long offset) {
        memory.download(destination, source, offset);
    }

    @Override
    public Weight load(MemorySegment source, DType type, long rows, int cols, String label) {
        WeightShape.check(source, type, rows, cols, label);
        DeviceBuffer buffer = allocateOwn(source.byteSize(), label);
        buffer.segment().copyFrom(source);
        return new Weight(buffer, type, rows, cols);
    }

    @Override
    public Program compile(List<Op> operations) {
        memory.requireOpen();
        List<Op> list = List.copyOf(operations);
        return new JavaProgram(this, list, ProgramCheck.check(list, memory, WeightShape::bytes, 0));
    }

    @Override
    public Step newStep(Step.Limits limits) {
        return new Step(limits);
    }

    @Override
    public void check(Program program, Step step) {
        StepCheck.check(step, own(program).limits);
    }

    private JavaProgram own(Program program) {
        if (!(program instanceof JavaProgram mine) || mine.owner != this) {
            throw new IllegalArgumentException("the program belongs to another backend");
        }
        return mine;
    }

    private JavaProgram checked(Program program, Step step, String what) {
        JavaProgram mine = own(program);
        memory.requireIdle(what);
        StepCheck.check(step, mine.limits);
        return mine;
    }

    /** Only checks: operations allocate on the Java heap as they run. */
    @Override
    public void reserve(Program program, Step step) {
        checked(program, step, "reserve memory");
    }

    @Override
    public void submit(Program program, Step step) {
        JavaProgram mine = checked(program, step, "start a program");
        StepCheck.carried(step, 0);
        memory.beginRun();
        step.running(true);
        current = step;
        long began = System.nanoTime();
        try {
            mine.operations.forEach(op -> run(op, step));
        } catch (RuntimeException e) {
            failure = e;
        }
        step.outNanos.set(ValueLayout.JAVA_LONG, 0, System.nanoTime() - began);
    }

    private void run(Op operation, Step step) {
        switch (operation) {
            case Op.CopyBlocks op -> JavaKernels.copyBlocks(op, step);
            case Op.SwapBlocks op -> JavaKernels.swapBlocks(op, step);
            case Op.Embed op -> JavaKernels.embed(op, step);
            case Op.RmsNorm op -> JavaKernels.rmsNorm(op, rows(op.rows(), step));
            case Op.Linear op -> JavaKernels.linear(op, rows(op.rows(), step), threads);
            case Op.RopeKv op -> JavaAttention.ropeKv(op, step);
            case Op.Attention op -> JavaAttention.attention(op, step, threads);
            case Op.Gated op -> JavaKernels.gated(op, rows(op.rows(), step));
            case Op.Experts op -> JavaExperts.run(op, rows(op.rows(), step), threads);
            case Op.GatherRows op -> JavaKernels.gatherRows(op, step);
            case Op.Sample op -> JavaSampler.sample(op, step);
            case Op.AllReduce _, Op.AllGather _ -> throw new IllegalStateException("this device has no ranks");
        }
    }

    private static int rows(Op.Rows rows, Step step) {
        return switch (rows) {
            case TOKENS -> step.tokenCount();
            case LOGITS -> step.logitsCount();
        };
    }

    @Override
    public void await() {
        memory.endRun();
        if (current != null) {
            current.running(false);
        }
        RuntimeException failed = failure;
        current = null;
        failure = null;
        if (failed != null) {
            KernelException wrapped = new KernelException("run", -4, String.valueOf(failed.getMessage()));
            wrapped.initCause(failed);
            throw wrapped;
        }
    }

    @Override
    public void close() {
        if (memory.close()) {
            threads.close();
        }
    }
}
