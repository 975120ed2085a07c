package dev.quire.kernels;

import dev.quire.kernels.NativeBackend.Isa;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Chooses and opens a backend. */
public final class Backends {
    private static final Logger LOG = LoggerFactory.getLogger(Backends.class);
    private static final List<String> DEVICES = List.of("auto", "cpu", "cuda", "java");
    static final String CUDA = "cuda";
    private static final List<String> LEVELS = List.of("auto", "avx512_bf16", "avx512", "avx2", "scalar");

    /** How the native library is found; a test puts a damaged one in its place. */
    interface Source {
        NativeLibrary open() throws NativeLibrary.Unavailable;
    }

    private Backends() {}

    /**
     * Opens a device and logs one line with the choice and why others were passed over.
     *
     * @param device auto (the CPU's native library, else Java), cpu (that library or an error), cuda (an NVIDIA GPU or an
     *     error) or java
     * @param isa auto, avx512_bf16, avx512, avx2 or scalar: the instruction set of the native library
     * @param threads compute threads; 0 = the physical cores that this process may use
     * @throws IllegalArgumentException when a name is not one of these, or {@code threads} is negative
     * @throws IllegalStateException when a device or a level was asked for by name and this machine lacks it
     */
    public static Backend open(String device, String isa, int threads) {
        return open(
                device, isa, threads, () -> NativeLibrary.bundled(device.equals(CUDA) ? "quire_cuda" : "quire_cpu"));
    }

    static Backend open(String device, String isa, int threads, Source library) {
        oneOf("device", device, DEVICES);
        oneOf("isa", isa, LEVELS);
        if (threads < 0) {
            throw new IllegalArgumentException("threads is " + threads + ", allowed: 0 (physical cores) or more");
        }
        List<String> passedOver = new ArrayList<>();
        Backend backend = switch (device) {
            case "java" -> new JavaBackend(threads);
            case CUDA -> cuda(isa, threads, library);
            default -> cpu(device, isa, threads, library, passedOver);
        };
        Backend.DeviceInfo info = backend.device();
        LOG.info(
                "Backend {} ({}), isa {}, {} threads{}",
                info.backend(),
                info.name(),
                info.isa(),
                info.threads(),
                passedOver.isEmpty() ? "" : "; passed over: " + String.join("; ", passedOver));
        return backend;
    }

    private static Backend cpu(String device, String isa, int threads, Source library, List<String> passedOver) {
        String reason;
        Exception cause;
        try {
            return new NativeBackend("cpu", library.open(), Isa.valueOf(isa.toUpperCase(Locale.ROOT)), threads);
        } catch (KernelException e) {
            // The library is there and refuses what it was told (QUIRE_CPU_ISA too), or the system refuses it threads.
            throw new IllegalStateException("device cpu with isa " + isa + " is not to be had: " + e.getMessage(), e);
        } catch (NativeLibrary.Unavailable e) {
            reason = e.getMessage();
            cause = e;
        }
        if (!device.equals("auto") || !isa.equals("auto")) {
            throw new IllegalStateException("device cpu with isa " + isa + " is not to be had: " + reason, cause);
        }
        LOG.warn("The native library cannot be used; falling back to Java, which is many times slower. {}", reason);
        passedOver.add("cpu: " + reason);
        return new JavaBackend(threads);
    }

    private static Backend cuda(String isa, int threads, Source library) {
        if (!isa.equals("auto")) {
            throw new IllegalArgumentException("isa is '" + isa + "'; it is the CPU's, device cuda takes auto");
        }
        try {
            NativeLibrary opened = library.open();
            if (opened.deviceCount() == 0) {
                throw new IllegalStateException(
                        "device cuda is not to be had: there is no GPU. Either no NVIDIA driver is"
                                + " installed, or it is too old for this build, or it shows this process no device"
                                + " (see nvidia-smi and CUDA_VISIBLE_DEVICES)");
            }
            return new NativeBackend(CUDA, opened, Isa.AUTO, threads);
        } catch (KernelException e) {
            throw new IllegalStateException("device cuda is not to be had: " + e.getMessage(), e);
        } catch (NativeLibrary.Unavailable e) {
            throw new IllegalStateException(
                    "device cuda is not to be had: " + e.getMessage() + "; builds made where nvcc is installed hold it",
                    e);
        }
    }

    private static void oneOf(String name, String seen, List<String> allowed) {
        if (!allowed.contains(seen)) {
            throw new IllegalArgumentException(name + " is '" + seen + "', allowed: " + String.join(", ", allowed));
        }
    }
}
