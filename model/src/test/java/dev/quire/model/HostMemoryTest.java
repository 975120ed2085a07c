package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostMemoryTest {
    private final Path proc;
    private final Path cgroup;

    HostMemoryTest(@TempDir Path folder) {
        proc = folder.resolve("proc");
        cgroup = folder.resolve("cgroup");
    }

    private static void write(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    private long available() {
        return new HostMemory(proc, cgroup).available().orElse(-1);
    }

    @Test
    void readsWhatTheHostHasAvailable() throws IOException {
        write(proc.resolve("meminfo"), "MemTotal:       100 kB\nMemAvailable:    40 kB\n");
        assertThat(available()).isEqualTo(40 * 1024);
    }

    @Test
    void aLimitOfTheGroupOrOfAnyAboveItCounts() throws IOException {
        write(proc.resolve("meminfo"), "MemAvailable: 1000000 kB\n");
        write(proc.resolve("self/cgroup"), "0::/app/one\n");
        write(cgroup.resolve("app/one/memory.max"), "max\n");
        write(cgroup.resolve("app/one/memory.current"), "500\n");
        write(cgroup.resolve("app/memory.max"), "9000\n");
        write(cgroup.resolve("app/memory.current"), "4000\n");
        write(cgroup.resolve("app/memory.stat"), "anon 10\ninactive_file 1500\n");
        assertThat(available()).isEqualTo(9000 - 4000 + 1500);
    }

    @Test
    void theFirstVersionOfControlGroupsCountsToo() throws IOException {
        write(proc.resolve("meminfo"), "MemAvailable: 1000000 kB\n");
        write(cgroup.resolve("memory/memory.limit_in_bytes"), "700\n");
        write(cgroup.resolve("memory/memory.usage_in_bytes"), "900\n");
        assertThat(available()).isZero();
    }

    @Test
    void aMachineThatDoesNotSayGivesNothing() {
        assertThat(available()).isEqualTo(-1);
    }
}
