package dev.quire.model;

import dev.quire.kernels.Backends;
import java.util.ArrayList;
import java.util.List;

/** The devices of this machine: the Java one, and the native library at each instruction set that it can run. */
final class TestDevices {
    /** A device and an instruction set as {@link Backends#open} names them. */
    record Device(String name, String isa) {
        LoadOptions options(int threads) {
            return options(threads, "auto");
        }

        LoadOptions options(int threads, String kvType) {
            return new LoadOptions(name, isa, threads, 0, 0, 0.9, kvType, 16, 0, 64, 8, false, 1, null);
        }

        @Override
        public String toString() {
            return name.equals("java") ? name : name + "-" + isa;
        }
    }

    static final List<Device> ALL = all();

    private TestDevices() {}

    private static List<Device> all() {
        List<Device> devices = new ArrayList<>(List.of(new Device("java", "auto")));
        for (String isa : List.of("scalar", "avx2", "avx512", "avx512_bf16")) {
            try {
                Backends.open("cpu", isa, 1).close();
                devices.add(new Device("cpu", isa));
            } catch (IllegalStateException e) {
                System.out.println("not tested here: cpu-" + isa + ": " + e.getMessage());
            }
        }
        return devices;
    }
}
