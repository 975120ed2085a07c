package dev.quire.bench;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.function.ToDoubleFunction;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Time from {@code ./quire serve} to the first answer, again and again. */
@Command(
        name = "start",
        description = "Starts this build's server again and again; prints the time to its first answer.",
        sortOptions = false,
        usageHelpAutoWidth = true)
final class StartBench implements Callable<Integer> {
    @Option(
            names = "--repeat",
            defaultValue = "7",
            paramLabel = "N",
            description = "starts that count, after one that does not (default: ${DEFAULT-VALUE})")
    private int repeat;

    @Parameters(paramLabel = "-- SERVE-FLAGS", arity = "0..*", description = "flags for the server")
    private List<String> serveFlags = List.of();

    private StartBench() {}

    @Override
    public Integer call() throws IOException, InterruptedException {
        if (repeat < 1) {
            throw new IllegalArgumentException("--repeat is " + repeat + "; allowed: 1 or more");
        }
        ColdStart.measure(serveFlags); // reads files into memory, and makes the AOT cache where there is none
        List<ColdStart> starts = new ArrayList<>();
        for (int i = 0; i < repeat; i++) {
            starts.add(ColdStart.measure(serveFlags));
        }
        System.out.print(table(starts));
        return 0;
    }

    static String table(List<ColdStart> starts) {
        return String.format(Locale.ROOT, "%-26s%8s%9s%9s%n", starts.size() + " starts", "median", "min", "max")
                + line("port open", starts, ColdStart::listening)
                + line("first answer", starts, ColdStart::answered)
                + line("processor time until then", starts, ColdStart::processor);
    }

    private static String line(String what, List<ColdStart> starts, ToDoubleFunction<ColdStart> seconds) {
        double[] values = starts.stream().mapToDouble(seconds).sorted().toArray();
        return String.format(
                Locale.ROOT,
                "%-26s%6.2f s%7.2f s%7.2f s%n",
                what,
                Summary.median(values),
                values[0],
                values[values.length - 1]);
    }
}
