package dev.quire.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Speed of the native kernels beside the machine's peaks: builds and runs the programs of {@code native/lab}. */
@Command(
        name = "kernels",
        description = "Measures the native kernels by level and shape, and the peaks of the machine beside them.",
        sortOptions = false,
        usageHelpAutoWidth = true)
final class KernelsBench implements Callable<Integer> {
    private static final String SCRIPT = "kernels/src/main/native/lab/run.sh";
    private static final String SCHEMA = "quire-kernels/1";
    private static final Set<String> LEVELS = Set.of("avx512_bf16", "avx512", "avx2", "scalar");

    @Option(
            names = "--isa",
            split = ",",
            defaultValue = "avx512_bf16,avx512,avx2,scalar",
            paramLabel = "LEVEL",
            description = "levels, of those that the machine has (default: ${DEFAULT-VALUE})")
    private List<String> levels = List.of();

    @Option(
            names = "--threads",
            defaultValue = "0",
            paramLabel = "N",
            description = "compute threads (default: the physical cores this process may use)")
    private int threads;

    @Option(
            names = "--json",
            paramLabel = "FILE",
            description = "write a line of machine facts, and one for each row of the table")
    private @Nullable Path json;

    KernelsBench() {}

    @Override
    public Integer call() throws IOException, InterruptedException {
        return run(OwnServer.home());
    }

    /** Runs the script of a build's folder; its exit code. */
    int run(Path home) throws IOException, InterruptedException {
        if (!LEVELS.containsAll(levels)) {
            throw new IllegalArgumentException(
                    "--isa is " + String.join(",", levels) + "; allowed: avx512_bf16, avx512, avx2, scalar");
        }
        if (threads < 0) {
            throw new IllegalArgumentException("--threads is " + threads + "; allowed: 0 or more");
        }
        List<String> command =
                new ArrayList<>(List.of("sh", home.resolve(SCRIPT).toString()));
        command.addAll(List.of("--isa", String.join(",", levels), "--threads", Integer.toString(threads)));
        if (json != null) {
            Files.writeString(json, Json.line(facts(home)) + "\n"); // the programs append to it
            command.addAll(List.of("--json", json.toAbsolutePath().toString()));
        }
        return new ProcessBuilder(command).inheritIO().start().waitFor();
    }

    private static Map<String, Object> facts(Path home) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("schema", SCHEMA);
        String commit = Machine.commit(home);
        facts.put("commit", commit == null ? "" : commit);
        facts.put("machine", Machine.read().json());
        return facts;
    }
}
