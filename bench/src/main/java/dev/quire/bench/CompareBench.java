package dev.quire.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Compares results of several servers or versions. */
@Command(
        name = "compare",
        description = "Compares results that --json wrote: ratios of medians to the first file.",
        sortOptions = false,
        usageHelpAutoWidth = true)
final class CompareBench implements Callable<Integer> {
    @Parameters(
            paramLabel = "FILE.json",
            arity = "2..*",
            description = "results; the first is what others are compared to")
    private List<Path> files = List.of();

    @Option(names = "--plot", paramLabel = "FILE", description = "also draw them to this file, as SVG")
    private @Nullable Path plot;

    private CompareBench() {}

    @Override
    public Integer call() throws IOException {
        List<Result> results = new ArrayList<>();
        for (Path file : files) {
            results.add(Result.read(file));
        }
        System.out.print(Comparison.of(results).text());
        if (plot != null) {
            Files.writeString(plot, Drawing.servers(results, "medians"));
        }
        return 0;
    }
}
