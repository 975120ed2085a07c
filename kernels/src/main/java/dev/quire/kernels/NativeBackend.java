package dev.quire.kernels;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.quire.kernels.NativeStructs.Struct;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Backend over a library that implements quire.h. Command lists are encoded into native memory at {@link #compile} and
 * run by one downcall; the library brings its own threads.
 */
public final class NativeBackend implements Backend {
    /** Instruction set levels, by their numbers in quire.h. */
    enum Isa {
        AUTO(0),
        SCALAR(1),
        AVX2(2),
        AVX512(3),
        AVX512_BF16(4);

        private final int code;

        Isa(int code) {
            this.code = code;
        }

        int code() {
            return code;
        }

        static String name(int code) {
            for (Isa isa : values()) {
                if (isa.code == code) {
                    return isa.name().toLowerCase(Locale.ROOT);
                }
            }
            return "level " + code;
        }
    }

    private final String name;
    private final NativeSymbols symbols;
    private final DeviceMemory memory = new DeviceMemory(new DeviceMemory.Transfer() {
        @Override
        public void write(MemorySegment device, MemorySegment host) {
            copy(device, host);
        }

        @Override
        public void read(MemorySegment host, MemorySegment device) {
            copyBack(host, device);
        }
    });
    private final Arena arena = Arena.ofShared();
    private final MemorySegment result = arena.allocate(JAVA_LONG);
    private final long device;
    private final int ranks;
    private final DeviceInfo info;
    /** What runs, the oldest first. */
    private final @Nullable NativeProgram[] programs;

    private final @Nullable Step[] steps;
    /** Of the step submitted last, whose tokens the next may carry. */
    private int samplesBefore;

    /** @throws KernelException when the library refuses the options, such as a level that the machine lacks */
    NativeBackend(String name, NativeLibrary library, Isa isa, int threads) {
        this(name, library, open(library.symbols(), isa, threads, 0)[0], 0);
    }

    /**
     * The devices of a group, rank by rank; the threads are dealt out.
     *
     * @throws KernelException when the library refuses the options, or has not so many devices
     */
    static List<NativeBackend> group(String name, NativeLibrary library, Isa isa, int threads, int ranks) {
        return Arrays.stream(open(library.symbols(), isa, threads, ranks))
                .mapToObj(device -> new NativeBackend(name, library, device, ranks))
                .toList();
    }

    /** Opens the ranks of a group, or where {@code ranks} is 0 one device; their handles. */
    private static long[] open(NativeSymbols symbols, Isa isa, int threads, int ranks) {
        try (Arena call = Arena.ofConfined()) {
            Struct opts = Struct.in(call, NativeStructs.DEVICE_OPTS);
            opts.set("size", (int) opts.layout().byteSize())
                    .set("threads", threads)
                    .set("isa", isa.code);
            MemorySegment handles = call.allocate(JAVA_LONG, Math.max(1, ranks));
            if (ranks == 0) {
                symbols.check("qr_device_open", () -> (int) symbols.deviceOpen().invokeExact(opts.memory(), handles));
            } else {
                symbols.check(
                        "qr_group_open", () -> (int) symbols.groupOpen().invokeExact(opts.memory(), ranks, handles));
            }
            return handles.toArray(JAVA_LONG);
        }
    }

    private NativeBackend(String name, NativeLibrary library, long device, int ranks) {
        this.name = name;
        this.device = device;
        this.ranks = ranks;
        symbols = library.symbols();
        try {
            info = readInfo();
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
        programs = new NativeProgram[info.queue()];
        steps = new Step[info.queue()];
    }

    private DeviceInfo readInfo() {
        Struct out = infoStruct(arena);
        check("qr_device_info", () -> (int) symbols.deviceInfo().invokeExact(device, out.memory()));
        return new DeviceInfo(
                name,
                NativeSymbols.text(out.memory().asSlice(out.offset("name"), 64), 64),
                Isa.name(out.integer("isa")),
                out.integer("threads"),
                out.integer("queue"),
                out.memory().get(JAVA_LONG, out.offset("memory_bytes")));
    }

    private static Struct infoStruct(Arena arena) {
        Struct out = Struct.in(arena, NativeStructs.DEVICE_INFO);
        return out.set("size", (int) out.layout().byteSize());
    }

    @Override
    public DeviceInfo device() {
        return info;
    }

    @Override
    public OptionalLong freeBytes() {
        long bytes = readFreeBytes();
        return bytes == 0 ? OptionalLong.empty() : OptionalLong.of(bytes);
    }

    private long readFreeBytes() {
        try (Arena call = Arena.ofConfined()) {
            Struct out = infoStruct(call);
            check("qr_device_info", () -> (int) symbols.deviceInfo().invokeExact(device, out.memory()));
            return out.memory().get(JAVA_LONG, out.offset("free_bytes"));
        }
    }

    @Override
    public boolean keepsFloat32() {
        return !name.equals(Backends.CUDA);
    }

    @Override
    public boolean joinsParts() {
        return name.equals(Backends.CUDA);
    }

    private void copy(MemorySegment device, MemorySegment host) {
        if (!host.isNative()) {
            try (Arena staging = Arena.ofConfined()) {
                copy(device, staging.allocate(host.byteSize(), 64).copyFrom(host));
            }
            return;
        }
        check("qr_write", () ->
                (int) symbols.write().invokeExact(this.device, device.address(), host, host.byteSize()));
    }

    private void copyBack(MemorySegment host, MemorySegment device) {
        if (!host.isNative()) {
            try (Arena staging = Arena.ofConfined()) {
                MemorySegment bytes = staging.allocate(host.byteSize(), 64);
                copyBack(bytes, device);
                host.copyFrom(bytes);
            }
            return;
        }
        check("qr_read", () -> (int) symbols.read().invokeExact(this.device, host, device.address(), host.byteSize()));
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
        requireBytes(bytes, label);
        check("allocation of " + bytes + " bytes of host memory for '" + label + "'", () ->
                (int) symbols.hostAlloc().invokeExact(device, bytes, result));
        long address = result.get(JAVA_LONG, 0);
        return memory.track(
                label,
                MemorySegment.ofAddress(address).reinterpret(bytes),
                () -> check("qr_host_free of '" + label + "'", () ->
                        (int) symbols.hostFree().invokeExact(device, address, bytes)));
    }

    private void requireBytes(long bytes, String label) {
        memory.requireOpen();
        if (bytes < 1) {
            throw new IllegalArgumentException("buffer '" + label + "': " + bytes + " bytes, allowed: at least 1");
        }
    }

    private DeviceBuffer allocateOwn(long bytes, String label) {
        requireBytes(bytes, label);
        check("allocation of " + bytes + " bytes for '" + label + "'", () ->
                (int) symbols.alloc().invokeExact(device, bytes, result));
        long address = result.get(JAVA_LONG, 0);
        // Reachable only through the buffer, which refuses access once it is closed.
        MemorySegment segment = MemorySegment.ofAddress(address).reinterpret(bytes);
        return memory.track(
                label,
                segment,
                () -> check(
                        "qr_free of '" + label + "'", () -> (int) symbols.free().invokeExact(device, address, bytes)));
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
        memory.requireIdle("load weight '" + label + "'");
        WeightShape.check(source, type, rows, cols, label);
        if (!source.isNative()) {
            try (Arena copy = Arena.ofConfined()) {
                return load(copy.allocate(source.byteSize(), 64).copyFrom(source), type, rows, cols, label);
            }
        }
        DeviceBuffer buffer = allocateOwn(packedBytes(type, rows, cols), label);
        try {
            check("packing of weight '" + label + "'", () ->
                    (int) symbols.pack().invokeExact(device, type.code(), source, rows, (long) cols, buffer.address()));
            return new Weight(buffer, type, rows, cols);
        } catch (RuntimeException e) {
            buffer.close();
            throw e;
        }
    }

    private long packedBytes(DType type, long rows, int cols) {
        check("qr_packed_bytes", () -> (int) symbols.packedBytes().invokeExact(type.code(), rows, (long) cols, result));
        return result.get(JAVA_LONG, 0);
    }

    @Override
    public Program compile(List<Op> operations) {
        memory.requireOpen();
        List<Op> list = List.copyOf(operations);
        return new NativeProgram(this, list, ProgramCheck.check(list, memory, this::packedBytes, ranks));
    }

    @Override
    public Step newStep(Step.Limits limits) {
        return new Step(limits);
    }

    @Override
    public void check(Program program, Step step) {
        StepCheck.check(step, own(program).limits());
    }

    private NativeProgram own(Program program) {
        if (!(program instanceof NativeProgram mine) || mine.owner() != this) {
            throw new IllegalArgumentException("the program belongs to another backend");
        }
        return mine;
    }

    /** The program as this backend's, idle, and the step checked against it. */
    private NativeProgram checked(Program program, Step step, String what) {
        NativeProgram mine = own(program);
        memory.requireIdle(what);
        StepCheck.check(step, mine.limits());
        return mine;
    }

    @Override
    public void reserve(Program program, Step step) {
        NativeProgram mine = checked(program, step, "reserve memory");
        MemorySegment list = mine.operations();
        MemorySegment sealed = step.seal();
        check("qr_reserve", () -> (int) symbols.reserve().invokeExact(device, list, mine.count(), sealed));
    }

    @Override
    public void submit(Program program, Step step) {
        NativeProgram mine = own(program);
        memory.requireOpen();
        requireRoom();
        StepCheck.check(step, mine.limits());
        StepCheck.carried(step, samplesBefore);
        MemorySegment sealed = step.seal();
        MemorySegment list = mine.operations();
        symbols.check("qr_submit", submitStatus(list, mine.count(), sealed));
        step.running(true);
        programs[memory.running()] = mine;
        steps[memory.running()] = step;
        memory.beginRun();
        samplesBefore = info.queue() > 1 ? step.sampleCount() : 0;
    }

    private void requireRoom() {
        if (memory.running() == info.queue()) {
            throw new IllegalStateException("cannot start a program while "
                    + (info.queue() == 1 ? "a program is" : "as many as queue are") + " running");
        }
    }

    private int submitStatus(MemorySegment list, int count, MemorySegment step) {
        try {
            return (int) symbols.submit().invokeExact(device, list, count, step);
        } catch (Throwable e) {
            throw new IllegalStateException("the downcall of qr_submit failed", e);
        }
    }

    private int waitStatus() {
        try {
            return (int) symbols.await().invokeExact(device);
        } catch (Throwable e) {
            throw new IllegalStateException("the downcall of qr_wait failed", e);
        }
    }

    @Override
    public void await() {
        if (memory.running() == 0) {
            throw new IllegalStateException("await without a submitted program");
        }
        int status = waitStatus();
        memory.endRun();
        Step step = steps[0];
        if (step != null) {
            step.running(false);
        }
        System.arraycopy(steps, 1, steps, 0, steps.length - 1);
        System.arraycopy(programs, 1, programs, 0, programs.length - 1);
        steps[steps.length - 1] = null;
        programs[programs.length - 1] = null;
        symbols.check("run", status);
    }

    /** @throws IllegalStateException while the program runs */
    void requireNotRunning(NativeProgram program) {
        for (NativeProgram running : programs) {
            if (running == program) {
                throw new IllegalStateException("cannot close a program while it is running");
            }
        }
    }

    /** Ends the group that this device is a rank of. Any thread, also while a program runs. */
    void abortGroup() {
        check("qr_group_abort", () -> (int) symbols.groupAbort().invokeExact(device));
    }

    @Override
    public void close() {
        if (memory.close()) {
            check("qr_device_close", () -> (int) symbols.deviceClose().invokeExact(device));
            arena.close();
        }
    }

    private void check(String operation, NativeSymbols.Downcall call) {
        symbols.check(operation, call);
    }
}
