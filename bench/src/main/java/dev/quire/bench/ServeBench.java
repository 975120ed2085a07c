package dev.quire.bench;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Load over HTTP on one server that speaks the OpenAI API; prints throughput and latency. */
@Command(
        name = "serve",
        description = "Measures a server: this build's own with the default model, or any other with --url.",
        sortOptions = false,
        usageHelpAutoWidth = true)
final class ServeBench implements Callable<Integer> {
    private static final double OPEN_LOOP_SECONDS = 30;

    @Option(names = "--url", description = "address of a running server (default: start one on a free port)")
    private @Nullable URI url;

    @Option(
            names = "--workload",
            defaultValue = "chat",
            description = "chat, ragged, long-prompt, shared-prefix, offline, or a trace FILE.jsonl (default:"
                    + " ${DEFAULT-VALUE})")
    private String workload = "";

    @Option(
            names = "--concurrency",
            split = ",",
            paramLabel = "N",
            description = "clients at once, each with its next request when the last has ended (default: chat 1,8,32;"
                    + " ragged 16; long-prompt 1,4; shared-prefix 8; offline 64)")
    private List<Integer> concurrency = List.of();

    @Option(
            names = "--rate",
            split = ",",
            paramLabel = "R",
            description = "instead: requests per second at random times, whatever has become of those before")
    private List<Double> rates = List.of();

    @Option(
            names = "--speed",
            defaultValue = "1",
            paramLabel = "X",
            description = "how many times as fast a trace is replayed (default: ${DEFAULT-VALUE})")
    private double speed;

    @Option(
            names = "--requests",
            defaultValue = "0",
            paramLabel = "N",
            description = "requests per run (default: 4 per client, at least 8; offline 64; 30 s of --rate; all of a"
                    + " trace)")
    private int requests;

    @Option(
            names = "--repeat",
            defaultValue = "1",
            paramLabel = "N",
            description = "runs per level, each with other seeds; medians are printed (default: ${DEFAULT-VALUE})")
    private int repeat;

    @Mixin
    private final LoadFlags load = new LoadFlags();

    @Option(names = "--model", description = "name in requests (default: the first that the server lists)")
    private @Nullable String model;

    @Option(names = "--api-key", description = "key for the server")
    private @Nullable String apiKey;

    @Option(names = "--label", defaultValue = "", description = "name of the server in results")
    private String label = "";

    @Option(names = "--json", paramLabel = "FILE", description = "also write the figures to this file")
    private @Nullable Path json;

    @Option(names = "--plot", paramLabel = "FILE", description = "also draw them to this file, as SVG")
    private @Nullable Path plot;

    @Parameters(paramLabel = "-- SERVE-FLAGS", arity = "0..*", description = "flags for the server that is started")
    private List<String> serveFlags = List.of();

    @Spec
    private @Nullable CommandSpec spec;

    private ServeBench() {}

    @Override
    public Integer call() throws IOException, InterruptedException {
        List<Level> levels = levels();
        URI given = url;
        if (given != null) {
            return measure(given, levels);
        }
        System.err.println("starting a server ...");
        try (OwnServer server = OwnServer.quire(serveFlags)) {
            return measure(server.address(), levels);
        }
    }

    private boolean isTrace() {
        return workload.endsWith(".jsonl");
    }

    private List<Level> levels() {
        if (repeat < 1 || requests < 0 || !(speed > 0)) {
            throw new IllegalArgumentException("--repeat must be 1 or more, --requests 0 or more, --speed above 0");
        }
        if (isTrace()) {
            if (!concurrency.isEmpty() || !rates.isEmpty()) {
                throw new IllegalArgumentException("a trace has its own times: no --concurrency or --rate");
            }
            return List.of(new Level(Level.Kind.SPEED, speed));
        }
        Workload named = Workload.named(workload);
        if (!rates.isEmpty() && !concurrency.isEmpty()) {
            throw new IllegalArgumentException("--concurrency and --rate exclude each other");
        }
        if (!rates.isEmpty()) {
            return rates.stream().map(ServeBench::rate).toList();
        }
        return (concurrency.isEmpty() ? named.concurrency() : concurrency)
                .stream().map(Level::clients).toList();
    }

    private static Level rate(double rate) {
        if (!(rate > 0 && rate <= 100_000)) {
            throw new IllegalArgumentException("rate is " + rate + ", allowed: above 0, to 100000");
        }
        return new Level(Level.Kind.RATE, rate);
    }

    private int measure(URI address, List<Level> levels) throws IOException, InterruptedException {
        Target target = new Target(address, apiKey);
        String name = model != null ? model : target.firstModel();
        Measurement measurement = load.measurement(target, name, load.promptSeed());
        System.out.printf(
                "%s, model %s, workload %s, seed %d, prompt seed %d%n",
                target.base(), name, workload, load.seed(), measurement.promptSeed());
        measurement.warmUp(load.warmUp());
        System.out.println(FigureTable.heading());
        List<Measured> results = new ArrayList<>();
        for (Level level : levels) {
            Measured measured = measure(measurement, level);
            results.add(measured);
            System.out.println(FigureTable.row(measured.summary(), measured.runs()));
        }
        System.out.println(FigureTable.footer(
                results.stream().flatMap(result -> result.runs().stream()).toList()));
        save(measurement, results);
        return results.stream().anyMatch(result -> result.summary().failures() > 0) ? 1 : 0;
    }

    private Measured measure(Measurement measurement, Level level) throws IOException {
        List<Figures> runs = new ArrayList<>();
        for (int round = 0; round < repeat; round++) {
            String title = level + (repeat > 1 ? ", run " + (round + 1) + " of " + repeat : "");
            long run = Measurement.mix(round, Double.doubleToLongBits(level.value()));
            runs.add(measurement.run(title, plan(level, Measurement.mix(load.seed(), round)), run));
        }
        String name = isTrace() ? Path.of(workload).getFileName().toString() : workload;
        return Measured.of(name, level, runs);
    }

    private LoadPlan plan(Level level, long seed) throws IOException {
        return switch (level.kind()) {
            case CONCURRENCY -> {
                Workload named = Workload.named(workload);
                int clients = (int) level.value();
                int count = requests > 0 ? requests : named.requests(clients);
                yield LoadPlan.closed(named.lengths(seed, count), clients);
            }
            case RATE -> {
                int count = requests > 0 ? requests : (int) Math.ceil(OPEN_LOOP_SECONDS * level.value());
                List<Lengths> lengths = Workload.named(workload).lengths(seed, count);
                yield LoadPlan.poisson(lengths, level.value(), new SplittableRandom(~seed));
            }
            case SPEED -> {
                List<Trace.Arrival> arrivals = Trace.read(Path.of(workload)).arrivals();
                int count = requests > 0 ? Math.min(requests, arrivals.size()) : arrivals.size();
                yield LoadPlan.replay(arrivals.subList(0, count), level.value());
            }
        };
    }

    private void save(Measurement measurement, List<Measured> results) throws IOException {
        String name = label.isEmpty() ? measurement.target().base().getAuthority() : label;
        if (json != null) {
            Map<String, Object> server = new LinkedHashMap<>();
            server.put("url", measurement.target().base().toString());
            server.put("model", measurement.model());
            server.put("prompt_seed", measurement.promptSeed());
            new Report(name, server, flags(), results).write(json);
        }
        if (plot != null) {
            List<Summary> levels = results.stream().map(Measured::summary).toList();
            String subtitle = Drawing.subtitle(
                    Machine.read(), LocalDate.now(ZoneOffset.UTC).toString());
            Files.writeString(plot, Drawing.levels(new Result(name, levels), subtitle));
        }
    }

    private Map<String, String> flags() {
        Map<String, String> flags = spec == null ? new LinkedHashMap<>() : LoadFlags.values(spec);
        flags.put("serve-flags", String.join(" ", serveFlags));
        return flags;
    }
}
