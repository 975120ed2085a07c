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
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Several servers in turn, round after round, under the same requests. */
@Command(
        name = "table",
        description =
                "Measures several servers in turn, A B A B, and writes a table of medians: table.md, table.svg and a"
                        + " LABEL.json for each. A server given by a command is started for its turn and stopped after it, so"
                        + " that no other one takes its cores.",
        sortOptions = false,
        usageHelpAutoWidth = true)
final class TableBench implements Callable<Integer> {
    private static final String CASES =
            "chat:1,chat:8,chat:32,ragged:16,offline:64,long-prompt:1,long-prompt:4,shared-prefix:8";

    @Option(
            names = "--server",
            required = true,
            paramLabel = "LABEL=URL|COMMAND",
            description = "a running server, or a command that listens on {port}; once for each, ours first")
    private List<String> servers = List.of();

    @Option(
            names = "--case",
            split = ",",
            defaultValue = CASES,
            paramLabel = "WORKLOAD:CLIENTS",
            description = "what to measure (default: ${DEFAULT-VALUE})")
    private List<String> cases = List.of();

    @Option(
            names = "--rounds",
            defaultValue = "3",
            paramLabel = "N",
            description = "turns of each server (default: ${DEFAULT-VALUE})")
    private int rounds;

    @Option(
            names = "--requests",
            defaultValue = "0",
            paramLabel = "N",
            description = "requests per case (default: 4 per client, at least 8; offline 64)")
    private int requests;

    @Option(
            names = "--out",
            required = true,
            paramLabel = "FOLDER",
            description = "where to write; made when it is not there")
    private @Nullable Path out;

    @Mixin
    private final LoadFlags load = new LoadFlags();

    @Spec
    private @Nullable CommandSpec spec;

    /** A workload and how many clients. */
    record Case(Workload workload, int clients) {
        static Case of(String text) {
            int colon = text.lastIndexOf(':');
            if (colon < 0 || !text.substring(colon + 1).matches("[1-9]\\d{0,3}")) {
                throw new IllegalArgumentException("case is '" + text + "', allowed: WORKLOAD:CLIENTS, such as chat:8");
            }
            return new Case(Workload.named(text.substring(0, colon)), Integer.parseInt(text.substring(colon + 1)));
        }

        /** Decides the tokens of its prompts, with others. */
        long seed() {
            return Measurement.mix(workload.label().hashCode(), clients);
        }

        Level level() {
            return Level.clients(clients);
        }
    }

    /** What has been measured of one server. */
    private static final class Entry {
        private final String label;
        private final String place;
        private final List<Double> startSeconds = new ArrayList<>();
        private final Map<Case, List<Figures>> figures = new LinkedHashMap<>();

        Entry(String server) {
            int equals = server.indexOf('=');
            if (equals < 1 || !server.substring(0, equals).matches("[\\w.-]+")) {
                throw new IllegalArgumentException("server is '" + server
                        + "', allowed: LABEL=URL or LABEL=COMMAND, the label of letters, digits, . _ -");
            }
            label = server.substring(0, equals);
            place = server.substring(equals + 1);
        }

        boolean runs() {
            return place.startsWith("http://") || place.startsWith("https://");
        }

        List<Measured> measured() {
            return figures.entrySet().stream()
                    .map(entry -> Measured.of(
                            entry.getKey().workload().label(), entry.getKey().level(), entry.getValue()))
                    .toList();
        }

        Result result() {
            return new Result(label, measured().stream().map(Measured::summary).toList());
        }
    }

    private TableBench() {}

    @Override
    public Integer call() throws IOException, InterruptedException {
        List<Entry> entries = servers.stream().map(Entry::new).toList();
        List<Case> wanted = cases.stream().map(Case::of).toList();
        if (rounds < 1 || requests < 0) {
            throw new IllegalArgumentException("--rounds must be 1 or more, --requests 0 or more");
        }
        Path folder = out == null ? Path.of(".") : out;
        Files.createDirectories(folder);
        long tokens = load.promptSeed();
        boolean whole = true;
        for (int round = 0; round < rounds; round++) {
            for (Entry entry : entries) {
                System.err.printf("round %d of %d: %s%n", round + 1, rounds, entry.label);
                try {
                    turn(entry, wanted, round, tokens);
                } catch (IOException e) {
                    System.err.println(entry.label + " failed: " + e.getMessage());
                    whole = false;
                }
                write(folder, entries); // after each turn: a long measurement may be cut off
            }
        }
        System.out.print(Files.readString(folder.resolve("table.md")));
        return whole ? 0 : 1;
    }

    private void turn(Entry entry, List<Case> wanted, int round, long tokens) throws IOException, InterruptedException {
        if (entry.runs()) {
            measure(entry, URI.create(entry.place), List.of(), wanted, round, tokens);
            return;
        }
        try (OwnServer server = OwnServer.shell(entry.place)) {
            entry.startSeconds.add(server.startTime().toNanos() / 1e9);
            measure(entry, server.address(), server.processes(), wanted, round, tokens);
        }
    }

    private void measure(Entry entry, URI address, List<Long> processes, List<Case> wanted, int round, long tokens)
            throws IOException, InterruptedException {
        Target target = new Target(address, null);
        Measurement measurement = load.measurement(target, target.firstModel(), tokens);
        measurement.warmUp(load.warmUp());
        for (Case each : wanted) {
            int count = requests > 0 ? requests : each.workload().requests(each.clients());
            List<Lengths> lengths = each.workload().lengths(Measurement.mix(load.seed(), round), count);
            String title = entry.label + ", " + each.workload().label() + ", " + each.level();
            try (ResidentMemory memory = new ResidentMemory(processes)) {
                Figures figures = measurement.run(
                        title, LoadPlan.closed(lengths, each.clients()), Measurement.mix(round, each.seed()));
                if (!processes.isEmpty()) {
                    figures = figures.with(Metric.PEAK_MEMORY, memory.peakBytes() / (double) (1 << 20));
                }
                entry.figures.computeIfAbsent(each, _ -> new ArrayList<>()).add(figures);
                System.err.printf(
                        "  %-28s %s tok/s, TTFT %s ms%n",
                        title,
                        Metric.number(figures.values().getOrDefault(Metric.OUTPUT_RATE, 0.0)),
                        Metric.number(figures.values().getOrDefault(Metric.TTFT_P50, 0.0)));
            }
        }
    }

    private void write(Path folder, List<Entry> entries) throws IOException {
        Map<String, String> flags = spec == null ? Map.of() : LoadFlags.values(spec);
        for (Entry entry : entries) {
            Map<String, Object> server = new LinkedHashMap<>();
            server.put(entry.runs() ? "url" : "command", entry.place);
            server.put("start_seconds", entry.startSeconds);
            new Report(entry.label, server, flags, entry.measured()).write(folder.resolve(entry.label + ".json"));
        }
        String about =
                Drawing.subtitle(Machine.read(), LocalDate.now(ZoneOffset.UTC).toString());
        List<Result> results = entries.stream().map(Entry::result).toList();
        Files.writeString(folder.resolve("table.svg"), Drawing.servers(results, about));
        StringBuilder text = new StringBuilder(MarkdownTable.of(results)).append('\n');
        for (Entry entry : entries) {
            if (!entry.startSeconds.isEmpty()) {
                double[] seconds = entry.startSeconds.stream()
                        .mapToDouble(Double::doubleValue)
                        .toArray();
                text.append("Start of ")
                        .append(entry.label)
                        .append(": ")
                        .append(Metric.number(Summary.median(seconds)))
                        .append(" s until it lists its model.\n");
            }
        }
        String commit = Machine.commit(OwnServer.home());
        text.append(about)
                .append(commit == null ? "" : ", commit " + commit)
                .append("; ")
                .append(rounds)
                .append(" rounds in turn, medians, ± half the spread.\n");
        Files.writeString(folder.resolve("table.md"), text.toString());
    }
}
