package dev.quire.kernels;

import dev.quire.kernels.NativeBackend.Isa;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;

/** The devices of this machine that the conformance table runs on. */
final class Devices {
    /** A device by name; {@link #open} gives a fresh backend. */
    record Device(String name, Supplier<Backend> opener) {
        Backend open() {
            return opener.get();
        }

        Rig rig() {
            return new Rig(open());
        }

        @Override
        public String toString() {
            return name;
        }
    }

    private static final List<Device> LEVELS = levels();

    private Devices() {}

    /** Java, and each level of the native library, with one thread and with two. */
    static List<Device> all() {
        List<Device> devices = new ArrayList<>();
        devices.add(new Device("java", () -> new JavaBackend(2)));
        devices.addAll(LEVELS);
        return devices;
    }

    /** The oracle. */
    static Rig oracle() {
        return new Rig(new JavaBackend(1));
    }

    private static List<Device> levels() {
        List<Device> devices = new ArrayList<>();
        NativeLibrary library;
        try {
            library = NativeLibrary.bundled("quire_cpu");
        } catch (NativeLibrary.Unavailable e) {
            return List.of(); // NativeLibraryTest says so
        }
        for (Isa isa : List.of(Isa.SCALAR, Isa.AVX2, Isa.AVX512, Isa.AVX512_BF16)) {
            try (Backend backend = new NativeBackend("cpu", library, isa, 1)) {
                assert backend.liveBuffers() == 0;
            } catch (KernelException e) {
                System.out.println("level " + isa + " is not tested here: " + e.getMessage());
                continue;
            }
            for (int threads = 1; threads <= 2; threads++) {
                int n = threads;
                devices.add(new Device(
                        isa.name().toLowerCase(Locale.ROOT) + "/" + n,
                        () -> new NativeBackend("cpu", library, isa, n)));
            }
        }
        return devices;
    }
}
