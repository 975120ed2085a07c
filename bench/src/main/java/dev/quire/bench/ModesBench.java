package dev.quire.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The same engine with static, dynamic and continuous batching, by turns, on the same requests. */
@Command(
        name = "modes",
        description =
                "Compares static, dynamic and continuous batching of this build; writes modes.md, .json and .svg.",
        sortOptions = false,
        usageHelpAutoWidth = true)
final class ModesBench implements Callable<Integer> {
    private static final List<String> MODES = List.of("static", "dynamic", "continuous");

    @Option(names = "--workload", defaultValue = "ragged", description = "as of serve (default: ${DEFAULT-VALUE})")
    private String workload = "";

    @Option(
            names = "--concurrency",
            defaultValue = "16",
            paramLabel = "N",
            description = "clients at once, and the size of a full batch (default: ${DEFAULT-VALUE})")
    private int clients;

    @Option(
            names = "--requests",
            defaultValue = "160",
            paramLabel = "N",
            description = "requests per run (default: ${DEFAULT-VALUE})")
    private int requests;

    @Option(
            names = "--repeat",
            defaultValue = "3",
            paramLabel = "N",
            description = "runs per mode, one mode after the other, each round with other lengths (default:"
                    + " ${DEFAULT-VALUE})")
    private int repeat;

    @Option(
            names = "--out",
            defaultValue = "bench/results",
            paramLabel = "FOLDER",
            description = "where the results go, from this build's folder (default: ${DEFAULT-VALUE})")
    private Path out = Path.of("");

    @Mixin
    private final LoadFlags load = new LoadFlags();

    @Parameters(paramLabel = "-- SERVE-FLAGS", arity = "0..*", description = "more flags for the servers")
    private List<String> serveFlags = List.of();

    private final Map<String, List<ModeRun>> runs = new LinkedHashMap<>();

    private ModesBench() {}

    @Override
    public Integer call() throws IOException, InterruptedException {
        if (clients < 1 || requests < 1 || repeat < 1) {
            throw new IllegalArgumentException("--concurrency, --requests and --repeat must be 1 or more");
        }
        Workload shape = Workload.named(workload);
        MODES.forEach(mode -> runs.put(mode, new ArrayList<>()));
        List<OwnServer> servers = new ArrayList<>();
        try {
            for (String mode : MODES) {
                System.err.println("starting a server: " + mode + " batching ...");
                servers.add(OwnServer.quire(flags(mode, clients, serveFlags)));
            }
            measure(shape, servers);
        } finally {
            servers.forEach(OwnServer::close);
        }
        write();
        return failures() > 0 ? 1 : 0;
    }

    /**
     * Of a server: three of them stand beside each other, so none may take a share of all memory; and padded batches guess
     * nothing, so nobody may.
     */
    static List<String> flags(String mode, int clients, List<String> more) {
        List<String> flags = new ArrayList<>(List.of(
                "--batching",
                mode,
                "--max-num-seqs",
                Integer.toString(clients),
                "--max-model-len",
                "2048",
                "--kv-cache-memory-bytes",
                "1G",
                "--speculative-config",
                "none"));
        flags.addAll(more);
        return flags;
    }

    private void measure(Workload shape, List<OwnServer> servers) throws IOException, InterruptedException {
        long tokens = load.promptSeed();
        List<Measurement> measurements = new ArrayList<>();
        for (OwnServer server : servers) {
            Target target = new Target(server.address(), null);
            Measurement measurement = load.measurement(target, target.firstModel(), tokens);
            measurement.warmUp(load.warmUp());
            measurements.add(measurement);
        }
        for (int round = 0; round < repeat; round++) {
            LoadPlan plan = LoadPlan.closed(shape.lengths(Measurement.mix(load.seed(), round), requests), clients);
            for (int i = 0; i < MODES.size(); i++) {
                String mode = MODES.get(i);
                String title = mode + ", run " + (round + 1) + " of " + repeat;
                runs(mode).add(run(measurements.get(i), servers.get(i), title, plan, round));
            }
        }
    }

    private List<ModeRun> runs(String mode) {
        return runs.getOrDefault(mode, List.of());
    }

    private static ModeRun run(Measurement measurement, OwnServer server, String title, LoadPlan plan, int round)
            throws IOException, InterruptedException {
        ServerCounters counters = ServerCounters.read(measurement.target());
        ComputeThreads threads = ComputeThreads.of(server.processes());
        Figures figures = measurement.run(title, plan, round);
        double busy = ComputeThreads.of(server.processes()).busyShare(threads, figures.seconds());
        return new ModeRun(figures, ServerCounters.read(measurement.target()).since(counters), busy);
    }

    private int failures() {
        return runs.values().stream()
                .flatMap(List::stream)
                .mapToInt(run -> run.figures().failures())
                .sum();
    }

    private void write() throws IOException {
        String about =
                Drawing.subtitle(Machine.read(), LocalDate.now(ZoneOffset.UTC).toString());
        String table = ModesTable.markdown(runs) + "\n" + caption() + "\n";
        System.out.print(table);
        Path folder = OwnServer.home().resolve(out);
        Files.createDirectories(folder);
        Files.writeString(folder.resolve("modes.md"), table);
        Files.writeString(folder.resolve("modes.json"), Json.write(json()));
        Files.writeString(folder.resolve("modes.svg"), Drawing.modes(runs, about));
        System.err.println("written: " + folder.resolve("modes") + ".md, .json, .svg");
    }

    private String caption() {
        Machine machine = Machine.read();
        double ratio = ModesTable.median(runs("continuous"), r -> r.value(Metric.OUTPUT_RATE))
                / ModesTable.median(runs("static"), r -> r.value(Metric.OUTPUT_RATE));
        return String.format(
                Locale.ROOT,
                "Continuous against static: %.2f × the output tokens/s. Workload %s, %d clients, batches of %d, %d requests"
                        + " a run, medians of %d runs by turns; %s, %d cores.",
                ratio,
                workload,
                clients,
                clients,
                requests,
                repeat,
                machine.cpu(),
                machine.cores());
    }

    private Map<String, Object> json() {
        Map<String, Object> modes = new LinkedHashMap<>();
        runs.forEach(
                (mode, all) -> modes.put(mode, all.stream().map(ModeRun::json).toList()));
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("time", Instant.now().toString());
        map.put("workload", workload);
        map.put("concurrency", clients);
        map.put("requests", requests);
        map.put("seed", load.seed());
        map.put("serve_flags", serveFlags);
        map.put("commit", Machine.commit(OwnServer.home()));
        map.put("machine", Machine.read().json());
        map.put("modes", modes);
        return map;
    }
}
