package dev.quire.bench;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;

/** Load over HTTP on any server that speaks the OpenAI API; prints throughput and latency. */
@Command(
        name = "quire bench",
        description = "Measures a server: this build's own with the default model, or any other with --url.",
        subcommands = OverheadBench.class,
        sortOptions = false,
        usageHelpAutoWidth = true)
public final class ServeBench implements Callable<Integer> {
    @Option(names = "--url", description = "address of a running server (default: start one on a free port)")
    private @Nullable URI url;

    @Option(
            names = "--workload",
            defaultValue = "chat",
            description = "chat, ragged, long-prompt or shared-prefix (default: ${DEFAULT-VALUE})")
    private String workload = "";

    @Option(
            names = "--concurrency",
            split = ",",
            defaultValue = "1,8,32",
            description = "clients at once (default: ${DEFAULT-VALUE})")
    private List<Integer> concurrency = List.of();

    @Option(
            names = "--requests",
            defaultValue = "0",
            description = "requests per level (default: 4 per client, at least 8)")
    private int requests;

    @Option(
            names = "--seed",
            defaultValue = "1",
            description = "another seed, other requests (default: ${DEFAULT-VALUE})")
    private long seed;

    @Option(names = "--model", description = "name in requests (default: the first that the server lists)")
    private @Nullable String model;

    @Option(names = "--api-key", description = "key for the server")
    private @Nullable String apiKey;

    @Option(names = "--json", paramLabel = "FILE", description = "also write the figures to this file")
    private @Nullable Path json;

    @Option(names = "--launcher", hidden = true)
    private Path launcher = Path.of("quire");

    @SuppressWarnings("UnusedVariable") // picocli reads it
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "print this text")
    private boolean help;

    @Parameters(paramLabel = "-- SERVE-FLAGS", arity = "0..*", description = "flags for the server that is started")
    private List<String> serveFlags = List.of();

    private ServeBench() {}

    /** Runs the bench; exit code 1 when a request failed, 2 for a bad command line. */
    public static void main(String[] arguments) {
        System.exit(new CommandLine(new ServeBench())
                .setExecutionExceptionHandler((e, _, _) -> {
                    System.err.println("quire bench: " + e.getMessage());
                    return e instanceof IllegalArgumentException ? 2 : 1;
                })
                .execute(arguments));
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        Workload shape = Workload.named(workload);
        for (int clients : concurrency) {
            if (clients < 1 || clients > 4096) {
                throw new IllegalArgumentException("concurrency is " + clients + ", allowed: 1 to 4096");
            }
        }
        URI given = url;
        if (given != null) {
            return measure(given, shape);
        }
        System.err.println("starting a server ...");
        try (OwnServer server = OwnServer.start(launcher, serveFlags)) {
            return measure(server.address(), shape);
        }
    }

    private int measure(URI server, Workload shape) throws IOException, InterruptedException {
        String name = model != null ? model : firstModel(server);
        Load load = new Load(server, apiKey, name, shape, seed);
        load.run(2, Integer.MAX_VALUE / 2, 4); // other requests than those measured: no prefix of theirs is known
        System.out.printf("model %s, workload %s, seed %d, %s%n", name, shape.label(), seed, server);
        System.out.println(LatencyReport.heading());
        List<LatencyReport> reports = new ArrayList<>();
        int first = 0;
        for (int clients : concurrency) {
            int count = requests > 0 ? requests : Math.max(8, 4 * clients);
            LatencyReport report = load.run(clients, first, count);
            System.out.println(report.row());
            reports.add(report);
            first += count;
        }
        if (json != null) {
            Files.writeString(json, Json.write(json(name, shape, reports)));
        }
        return reports.stream().anyMatch(r -> r.failures() > 0) ? 1 : 0;
    }

    private Map<String, Object> json(String name, Workload shape, List<LatencyReport> reports) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("model", name);
        map.put("workload", shape.label());
        map.put("seed", seed);
        map.put("levels", reports.stream().map(LatencyReport::json).toList());
        return map;
    }

    private String firstModel(URI server) throws IOException {
        try (SseClient client = new SseClient(server, apiKey)) {
            JsonNode first =
                    Json.parse(client.get("/v1/models")).path("data").path(0).path("id");
            if (!first.isString()) {
                throw new IOException("the server lists no model; name one with --model");
            }
            return first.asString();
        }
    }
}
