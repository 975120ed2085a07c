package dev.quire.kernels;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * The functions of quire.h, one handle each. All are ordinary downcalls: while one runs, the JVM may collect garbage,
 * which a call that lasts for milliseconds must not hold back.
 */
record NativeSymbols(
        MethodHandle deviceCount,
        MethodHandle deviceOpen,
        MethodHandle groupOpen,
        MethodHandle groupAbort,
        MethodHandle deviceInfo,
        MethodHandle deviceClose,
        MethodHandle alloc,
        MethodHandle free,
        MethodHandle write,
        MethodHandle read,
        MethodHandle hostAlloc,
        MethodHandle hostFree,
        MethodHandle lastError,
        MethodHandle packedBytes,
        MethodHandle pack,
        MethodHandle submit,
        MethodHandle reserve,
        MethodHandle await) {
    private static final int ERROR_BYTES = 512;

    /** Name and signature of a function; all return an int. A test compares them with the header. */
    record Function(String symbol, FunctionDescriptor descriptor) {
        static final Function ABI_VERSION = of("qr_abi_version");
        static final Function DEVICE_COUNT = of("qr_device_count");
        static final Function DEVICE_OPEN = of("qr_device_open", ADDRESS, ADDRESS);
        static final Function GROUP_OPEN = of("qr_group_open", ADDRESS, JAVA_INT, ADDRESS);
        static final Function GROUP_ABORT = of("qr_group_abort", JAVA_LONG);
        static final Function DEVICE_INFO = of("qr_device_info", JAVA_LONG, ADDRESS);
        static final Function DEVICE_CLOSE = of("qr_device_close", JAVA_LONG);
        static final Function ALLOC = of("qr_alloc", JAVA_LONG, JAVA_LONG, ADDRESS);
        static final Function FREE = of("qr_free", JAVA_LONG, JAVA_LONG, JAVA_LONG);
        static final Function WRITE = of("qr_write", JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG);
        static final Function READ = of("qr_read", JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG);
        static final Function HOST_ALLOC = of("qr_host_alloc", JAVA_LONG, JAVA_LONG, ADDRESS);
        static final Function HOST_FREE = of("qr_host_free", JAVA_LONG, JAVA_LONG, JAVA_LONG);
        static final Function LAST_ERROR = of("qr_last_error", ADDRESS, JAVA_INT);
        static final Function PACKED_BYTES = of("qr_packed_bytes", JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS);
        static final Function PACK = of("qr_pack", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG);
        static final Function SUBMIT = of("qr_submit", JAVA_LONG, ADDRESS, JAVA_INT, ADDRESS);
        static final Function RESERVE = of("qr_reserve", JAVA_LONG, ADDRESS, JAVA_INT, ADDRESS);
        static final Function WAIT = of("qr_wait", JAVA_LONG);

        static final List<Function> ALL = List.of(
                ABI_VERSION,
                DEVICE_COUNT,
                DEVICE_OPEN,
                GROUP_OPEN,
                GROUP_ABORT,
                DEVICE_INFO,
                DEVICE_CLOSE,
                ALLOC,
                FREE,
                WRITE,
                READ,
                HOST_ALLOC,
                HOST_FREE,
                LAST_ERROR,
                PACKED_BYTES,
                PACK,
                SUBMIT,
                RESERVE,
                WAIT);

        private static Function of(String symbol, MemoryLayout... arguments) {
            return new Function(symbol, FunctionDescriptor.of(JAVA_INT, arguments));
        }

        MethodHandle bind(SymbolLookup library) {
            MemorySegment address =
                    library.find(symbol).orElseThrow(() -> new UnsatisfiedLinkError("no function " + symbol));
            return Linker.nativeLinker().downcallHandle(address, descriptor);
        }
    }

    /** Binds all functions. @throws UnsatisfiedLinkError naming the first that is missing */
    static NativeSymbols bind(SymbolLookup library) {
        return new NativeSymbols(
                Function.DEVICE_COUNT.bind(library),
                Function.DEVICE_OPEN.bind(library),
                Function.GROUP_OPEN.bind(library),
                Function.GROUP_ABORT.bind(library),
                Function.DEVICE_INFO.bind(library),
                Function.DEVICE_CLOSE.bind(library),
                Function.ALLOC.bind(library),
                Function.FREE.bind(library),
                Function.WRITE.bind(library),
                Function.READ.bind(library),
                Function.HOST_ALLOC.bind(library),
                Function.HOST_FREE.bind(library),
                Function.LAST_ERROR.bind(library),
                Function.PACKED_BYTES.bind(library),
                Function.PACK.bind(library),
                Function.SUBMIT.bind(library),
                Function.RESERVE.bind(library),
                Function.WAIT.bind(library));
    }

    /** A call of one of the functions. */
    interface Downcall {
        int status() throws Throwable;
    }

    /** @throws KernelException when the call fails */
    void check(String operation, Downcall call) {
        int status;
        try {
            status = call.status();
        } catch (Throwable e) {
            throw new IllegalStateException("the downcall for " + operation + " failed", e);
        }
        check(operation, status);
    }

    /** @throws KernelException when the status of a call of this thread says so */
    void check(String operation, int status) {
        if (status < 0) {
            throw new KernelException(operation, status, lastErrorText());
        }
    }

    private String lastErrorText() {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment text = call.allocate(ERROR_BYTES);
            int length = (int) lastError.invokeExact(text, ERROR_BYTES);
            return text(text, Math.clamp(length, 0, ERROR_BYTES));
        } catch (Throwable e) {
            throw new IllegalStateException("the downcall of qr_last_error failed", e);
        }
    }

    /** Text of at most {@code bytes} bytes, up to the first NUL; the library is not trusted to end it. */
    static String text(MemorySegment memory, int bytes) {
        byte[] raw = memory.asSlice(0, bytes).toArray(ValueLayout.JAVA_BYTE);
        int end = 0;
        while (end < raw.length && raw[end] != 0) {
            end++;
        }
        return new String(raw, 0, end, StandardCharsets.UTF_8);
    }
}
