package dev.quire.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The machine on which a result was measured; texts are empty where the system does not tell.
 *
 * @param isa the instruction sets that matter here
 * @param cores that this process may use
 */
record Machine(String cpu, int cores, List<String> isa, long memoryBytes, String kernel) {
    private static final List<String> ISA = List.of(
            "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimddp", "i8mm");

    static Machine read() {
        return of(
                text(Path.of("/proc/cpuinfo")),
                text(Path.of("/proc/meminfo")),
                System.getProperty("os.name") + " " + System.getProperty("os.version"));
    }

    static Machine of(String cpuInfo, String memoryInfo, String kernel) {
        Set<String> flags = Arrays.stream((field(cpuInfo, "flags") + " " + field(cpuInfo, "Features")).split("\\s+"))
                .collect(Collectors.toSet());
        String memory = field(memoryInfo, "MemTotal").replaceAll("\\D", "");
        return new Machine(
                field(cpuInfo, "model name"),
                Runtime.getRuntime().availableProcessors(),
                ISA.stream().filter(flags::contains).toList(),
                memory.isEmpty() ? 0 : Long.parseLong(memory) * 1024,
                kernel);
    }

    private static String field(String text, String name) {
        return text.lines()
                .filter(line -> line.startsWith(name)
                        && line.substring(name.length()).stripLeading().startsWith(":"))
                .findFirst()
                .map(line -> line.substring(line.indexOf(':') + 1).trim())
                .orElse("");
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return ""; // another system
        }
    }

    /** The commit checked out in a folder; null where there is none. A change that is not committed adds a plus. */
    static @Nullable String commit(Path folder) {
        String commit = git(folder, "rev-parse", "HEAD");
        String changes = git(folder, "status", "--porcelain", "--untracked-files=no");
        return commit == null ? null : commit + (changes == null || changes.isEmpty() ? "" : "+");
    }

    private static @Nullable String git(Path folder, String... arguments) {
        try {
            List<String> command = new ArrayList<>(List.of("git", "-C", folder.toString()));
            command.addAll(List.of(arguments));
            Process process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).trim();
            return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0 ? out : null;
        } catch (IOException e) {
            return null; // no git
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    /** By name, for JSON. */
    Map<String, Object> json() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("cpu", cpu);
        map.put("cores", cores);
        map.put("isa", isa);
        map.put("memory_bytes", memoryBytes);
        map.put("kernel", kernel);
        return map;
    }
}
