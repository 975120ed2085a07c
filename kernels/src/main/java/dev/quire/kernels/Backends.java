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
    /** Ranks of a group, at most. */
    public static final int MAX_RANKS = 64;

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
        return openGroup(device, isa, threads, 1).rank(0);
    }

    /**
     * The same for several ranks: on the CPU they share the threads, with CUDA each has a GPU.
     *
     * @param ranks 1 to 64
     * @throws IllegalArgumentException also when several ranks are asked of Java
     * @throws IllegalStateException also when there are too few devices, or what joins them is missing
     */
    public static DeviceGroup openGroup(String device, String isa, int threads, int ranks) {
        return open(
                new Choice(device, isa, threads, ranks),
                () -> NativeLibrary.bundled(device.equals(CUDA) ? "quire_cuda" : "quire_cpu"));
    }

    /** What was asked for. */
    record Choice(String device, String isa, int threads, int ranks) {
        Choice {
            oneOf("device", device, DEVICES);
            oneOf("isa", isa, LEVELS);
            if (threads < 0) {
                throw new IllegalArgumentException("threads is " + threads + ", allowed: 0 (physical cores) or more");
            }
            int most = device.equals("java") ? 1 : MAX_RANKS;
            if (ranks < 1 || ranks > most) {
                throw new IllegalArgumentException("tensor-parallel-size is " + ranks + ", device " + device
                        + " takes 1" + (most == 1 ? "" : " to " + most));
            }
        }

        private DeviceGroup open(NativeLibrary library) {
            String name = device.equals(CUDA) ? CUDA : "cpu";
            Isa level = Isa.valueOf(isa.toUpperCase(Locale.ROOT));
            return ranks == 1
                    ? DeviceGroup.alone(new NativeBackend(name, library, level, threads))
                    : DeviceGroup.of(NativeBackend.group(name, library, level, threads, ranks));
        }
    }

    static DeviceGroup open(Choice choice, Source library) {
        List<String> passedOver = new ArrayList<>();
        DeviceGroup group = switch (choice.device) {
            case "java" -> DeviceGroup.alone(new JavaBackend(choice.threads));
            case CUDA -> cuda(choice, library);
            default -> cpu(choice, library, passedOver);
        };
        Backend.DeviceInfo info = group.rank(0).device();
        LOG.info(
                "Backend {} ({}), isa {}, {} threads{}{}",
                info.backend(),
                info.name(),
                info.isa(),
                info.threads(),
                group.size() == 1 ? "" : " on each of " + group.size() + " ranks",
                passedOver.isEmpty() ? "" : "; passed over: " + String.join("; ", passedOver));
        return group;
    }

    private static DeviceGroup cpu(Choice choice, Source library, List<String> passedOver) {
        String reason;
        Exception cause;
        String asked = "device cpu with isa " + choice.isa;
        try {
            return choice.open(library.open());
        } catch (KernelException e) {
            // The library is there and refuses what it was told (QUIRE_CPU_ISA too), or the system refuses it threads.
            throw new IllegalStateException(asked + " is not to be had: " + e.getMessage(), e);
        } catch (NativeLibrary.Unavailable e) {
            reason = e.getMessage();
            cause = e;
        }
        if (!choice.device.equals("auto") || !choice.isa.equals("auto") || choice.ranks > 1) {
            throw new IllegalStateException(asked + " is not to be had: " + reason, cause);
        }
        LOG.warn("The native library cannot be used; falling back to Java, which is many times slower. {}", reason);
        passedOver.add("cpu: " + reason);
        return DeviceGroup.alone(new JavaBackend(choice.threads));
    }

    private static DeviceGroup cuda(Choice choice, Source library) {
        if (!choice.isa.equals("auto")) {
            throw new IllegalArgumentException("isa is '" + choice.isa + "'; it is the CPU's, device cuda takes auto");
        }
        try {
            NativeLibrary opened = library.open();
            int devices = opened.deviceCount();
            if (devices == 0) {
                throw new IllegalStateException(
                        "device cuda is not to be had: there is no GPU. Either no NVIDIA driver is"
                                + " installed, or it is too old for this build, or it shows this process no device"
                                + " (see nvidia-smi and CUDA_VISIBLE_DEVICES)");
            }
            if (devices < choice.ranks) {
                throw new IllegalStateException("tensor-parallel-size is " + choice.ranks + ", but this process sees "
                        + devices + " GPU" + (devices == 1 ? "" : "s") + " (see nvidia-smi and CUDA_VISIBLE_DEVICES)");
            }
            return choice.open(opened);
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
