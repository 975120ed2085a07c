package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.scheduler.Speculation;
import dev.quire.server.Flags;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

class ModesBenchTest {
    private static final String METRICS = """
            vllm:iteration_tokens_total_count{engine="0",model_name="a b"} 20
            # HELP quire:computed_tokens_total Tokens
            quire:computed_tokens_total{engine="0",model_name="a b"} 400.0
            quire:padding_tokens_total{engine="0",model_name="a b"} 100.0
            quire:step_seconds_total{engine="0",model_name="a b"} 2.5
            quire:kv_slots_allocated_total{engine="0",model_name="a b"} 1.0E7
            quire:kv_slots_filled_total{engine="0",model_name="a b"} 6.0E6
            """;

    @Test
    void sharesAreOfWhatWasCountedBetweenTwoReadings() throws IOException {
        ServerCounters now = ServerCounters.of(METRICS);
        ServerCounters run = now.since(new ServerCounters(15, 200, 50, 0.5, 0, 1e6));

        assertThat(now.usefulShare()).isEqualTo(0.75);
        assertThat(now.kvWaste()).isEqualTo(0.4);
        assertThat(run).isEqualTo(new ServerCounters(5, 200, 50, 2, 1e7, 5e6));
        assertThat(run.tokensPerStep()).isEqualTo(40);
        assertThat(run.kvWaste()).isEqualTo(0.5);
    }

    @Test
    void aServerThatCountsNothingOfTheKindIsNamedSo() {
        assertThatThrownBy(() -> ServerCounters.of("vllm:generation_tokens_total{} 1\n"))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("does not count");
    }

    /** A wrong guess is computed for nobody too, and a right one has nothing to do with batching. */
    @Test
    void noModeGuesses() {
        for (String mode : List.of("static", "dynamic", "continuous")) {
            String[] flags =
                    ModesBench.flags(mode, 16, List.of("--threads", "1")).toArray(String[]::new);
            assertThat(Flags.parse(Map.of(), flags))
                    .isInstanceOfSatisfying(
                            Flags.Parsed.Serve.class,
                            serve -> assertThat(serve.config().engine().speculation())
                                    .isEqualTo(Speculation.NONE));
        }
    }

    @Test
    void onlyComputeThreadsCountAsBusy(@TempDir Path task) throws IOException {
        thread(task, "1", "java", "9000000000");
        thread(task, "2", "quire-cpu-0", "1500000000");
        thread(task, "3", "quire-cpu-1", "500000000");
        ComputeThreads threads = ComputeThreads.in(List.of(task));

        assertThat(threads).isEqualTo(new ComputeThreads(2, 2.0));
        assertThat(threads.busyShare(new ComputeThreads(2, 1.0), 2)).isEqualTo(0.25);
    }

    @Test
    void whereTheSystemDoesNotTellNothingIsBusy(@TempDir Path task) {
        ComputeThreads none = ComputeThreads.in(List.of(task.resolve("gone")));

        assertThat(none.busyShare(none, 1)).isZero();
    }

    private static void thread(Path task, String id, String name, String nanos) throws IOException {
        Path folder = Files.createDirectory(task.resolve(id));
        Files.writeString(folder.resolve("comm"), name + "\n");
        Files.writeString(folder.resolve("schedstat"), nanos + " 17 3\n");
    }

    private static ModeRun run(double rate, double padding) {
        Map<Metric, Double> values = new EnumMap<>(Metric.class);
        for (Metric metric : Metric.values()) {
            values.put(metric, 7.0);
        }
        values.put(Metric.OUTPUT_RATE, rate);
        Figures figures = new Figures(4, 0, 10, 100, 50, 50, 0.1, values);
        return new ModeRun(figures, new ServerCounters(50, 1000, padding, 9, 800, 600), 0.8);
    }

    private static Map<String, List<ModeRun>> modes() {
        Map<String, List<ModeRun>> modes = new LinkedHashMap<>();
        modes.put("static", List.of(run(10, 500), run(30, 500), run(20, 600)));
        modes.put("continuous", List.of(run(80, 0)));
        return modes;
    }

    @Test
    void theTableHasMediansOfEachMode() {
        assertThat(ModesTable.markdown(modes()).lines())
                .contains(
                        "| | static | continuous |",
                        "|---|---:|---:|",
                        "| Output tokens/s | 20.0 | 80.0 |",
                        "| Tokens computed | 1,000 | 1,000 |",
                        "| of them padding | 500 | 0 |",
                        "| Tokens in a step, mean | 20.0 | 20.0 |",
                        "| Useful share of computed tokens | 50.0 % | 100.0 % |",
                        "| Time with a step on the device | 90.0 % | 90.0 % |",
                        "| Busy with useful tokens | 40.0 % | 80.0 % |",
                        "| KV memory allocated and not filled | 25.0 % | 25.0 % |",
                        "| TTFT p50, ms | 7.0 | 7.0 |");
    }

    @Test
    void theBarsOfThePlotAreMediansOfEachMode() throws Exception {
        NodeList texts = DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(new InputSource(new StringReader(Drawing.modes(modes(), "about"))))
                .getElementsByTagName("text");
        List<String> bars = new ArrayList<>();
        for (int i = 0; i < texts.getLength(); i++) {
            if (texts.item(i)
                    .getAttributes()
                    .getNamedItem("font-size")
                    .getNodeValue()
                    .equals("9")) {
                bars.add(texts.item(i).getTextContent());
            }
        }

        assertThat(bars).containsExactly("20", "80", "50", "25", "100", "25", "7", "7", "7", "7");
    }
}
