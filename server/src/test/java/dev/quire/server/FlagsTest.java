package dev.quire.server;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.scheduler.Speculation;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FlagsTest {
    private static ServerConfig serve(String... arguments) {
        return switch (Flags.parse(Map.of(), arguments)) {
            case Flags.Parsed.Serve(ServerConfig config) -> config;
            case Flags.Parsed.Exit(int code, String text) -> throw new AssertionError(code + ": " + text);
        };
    }

    private static Flags.Parsed.Exit exit(String... arguments) {
        return (Flags.Parsed.Exit) Flags.parse(Map.of(), arguments);
    }

    @Test
    void noFlagsMeanTheDefaults() {
        ServerConfig config = serve();
        assertThat(config.port()).isEqualTo(8000);
        assertThat(config.model()).isNull();
        assertThat(config.load().maxSequences()).isEqualTo(128);
        assertThat(config.engine().prefixCaching()).isTrue();
        assertThat(config.edge().maxBodyBytes()).isEqualTo(16 << 20);
    }

    @Test
    void underscoresAreDashes() {
        assertThat(serve("--max_num_seqs=7").load().maxSequences()).isEqualTo(7);
        assertThat(serve("--max_num_seqs", "7").load().maxSequences()).isEqualTo(7);
    }

    @Test
    void aFlagWithoutNoTurnsOnAndWithNoTurnsOff() {
        assertThat(serve("--enable-prefix-caching").engine().prefixCaching()).isTrue();
        assertThat(serve("--no-enable-prefix-caching").engine().prefixCaching()).isFalse();
    }

    @ParameterizedTest
    @CsvSource({"continuous, CONTINUOUS, true", "static, STATIC, false", "dynamic, DYNAMIC, false"})
    void onlyContinuousBatchingSharesPrefixesAndGuesses(String mode, ServerConfig.Batching batching, boolean both) {
        ServerConfig.Scheduling engine = serve("--batching", mode).engine();
        assertThat(engine.batching()).isEqualTo(batching);
        assertThat(engine.prefixCaching()).isEqualTo(both);
        assertThat(engine.speculation().maxTokens() > 0).isEqualTo(both);
        assertThat(serve().engine().batching()).isEqualTo(ServerConfig.Batching.CONTINUOUS);
    }

    @Test
    void wholeRequestsAreBatchedInOrderOfArrivalOnly() {
        assertThat(exit("--batching=static", "--scheduling-policy=priority").text())
                .contains("--batching", "fcfs");
        assertThat(serve("--scheduling-policy=priority").engine().policy()).isEqualTo(ServerConfig.Policy.PRIORITY);
    }

    @ParameterizedTest
    @CsvSource({"512M, 536870912", "4G, 4294967296", "4GiB, 4294967296", "1000, 1000"})
    void sizesTakeSuffixes(String text, long bytes) {
        assertThat(serve("--kv-cache-memory-bytes", text).load().kvCacheBytes()).isEqualTo(bytes);
    }

    @ParameterizedTest
    @CsvSource({"32k, 32000", "32K, 32768", "auto, 0", "-1, 0", "4096, 4096"})
    void lengthsTakeSuffixes(String text, int tokens) {
        assertThat(serve("--max-model-len=" + text).load().maxModelLen()).isEqualTo(tokens);
    }

    @Test
    void speculationIsReadAsVllmWritesIt() {
        assertThat(serve().engine().speculation()).isEqualTo(new Speculation(8, 4, 2));
        assertThat(speculation("none").maxTokens()).isZero();
        assertThat(speculation("{\"method\":\"none\"}").maxTokens()).isZero();
        assertThat(speculation("{\"method\":\"ngram\",\"num_speculative_tokens\":5,\"prompt_lookup_max\":3}"))
                .isEqualTo(new Speculation(5, 3, 2));
        assertThat(speculation("{\"prompt_lookup_min\":6}")).isEqualTo(new Speculation(8, 6, 6));
        assertThat(speculation("{\"prompt_lookup_max\":1}")).isEqualTo(new Speculation(8, 1, 1));
    }

    private static Speculation speculation(String text) {
        return serve("--speculative-config", text).engine().speculation();
    }

    @Test
    void theHostTierIsCountedInGibibytes() {
        assertThat(serve().load().kvOffloadBytes()).isZero();
        assertThat(serve("--kv-offloading-size", "2.5").load().kvOffloadBytes()).isEqualTo(5L << 29);
    }

    @Test
    void aGpuTakesLargerStepsUnlessToldOtherwise() {
        assertThat(serve("--device", "cpu").load().maxSequences()).isEqualTo(128);
        assertThat(serve("--device", "cpu").load().maxBatchedTokens()).isEqualTo(2048);
        assertThat(serve("--device", "cuda").load().maxSequences()).isEqualTo(256);
        assertThat(serve("--device", "cuda").load().maxBatchedTokens()).isEqualTo(8192);
        assertThat(serve("--device", "cuda", "--max-num-seqs", "7").load().maxSequences())
                .isEqualTo(7);
        assertThat(exit("--max-num-seqs", "auto").text()).contains("1 to 4096");
    }

    @Test
    void anUnknownFlagNamesTheNearest() {
        Flags.Parsed.Exit exit = exit("--max-num-seq", "4");
        assertThat(exit.code()).isEqualTo(2);
        assertThat(exit.text()).contains("--max-num-seq").contains("--max-num-seqs");
    }

    @ParameterizedTest
    @CsvSource({
        "--device=gpu, auto",
        "--port=70000, 65535",
        "--kv-cache-memory-bytes=lots, 512M",
        "--block-size=20, multiple of 16",
        "--max-num-batched-tokens=64, --max-num-seqs",
        "--threads=two, --threads",
        "--speculative-config=on, none",
        "'--speculative-config={\"method\":\"eagle\"}', ngram",
        "'--speculative-config={\"method\":\"ngram\"', JSON",
        "'--speculative-config={\"num_tokens\":5}', num_speculative_tokens",
        "'--speculative-config={\"num_speculative_tokens\":0}', 1 to 64",
        "'--speculative-config={\"num_speculative_tokens\":1.5}', 1 to 64",
        "'--speculative-config={\"prompt_lookup_min\":3,\"prompt_lookup_max\":2}', 3 to 32",
        "--tensor-parallel-size=0, 1 to 64",
        "--batching=padded, continuous",
        "--kv-offloading-size=-1, 0 to",
        "--kv-offloading-size=8G, GiB",
        "--kv-offloading-size=NaN, GiB",
        "--gpu-memory-utilization=0, at most 1",
        "--gpu-memory-utilization=90%, at most 1",
        "--gpu-memory-utilization=NaN, at most 1"
    })
    void aBadValueSaysWhatIsAllowed(String argument, String allowed) {
        Flags.Parsed.Exit exit = exit(argument);
        assertThat(exit.code()).isEqualTo(2);
        assertThat(exit.text()).contains(allowed);
    }

    @Test
    void aListTakesTheWordsUpToTheNextFlag() {
        ServerConfig config =
                serve("model.gguf", "--served-model-name", "a", "b", "--port", "1", "--served_model_name=c");
        assertThat(config.servedModelNames()).containsExactly("a", "b", "c");
        assertThat(config.port()).isEqualTo(1);
        assertThat(config.model()).isEqualTo("model.gguf");
    }

    @ParameterizedTest
    @CsvSource({
        "--port, needs a value",
        "--port --offline, needs a value",
        "--port 1 --port 2, given twice",
        "--offline --offline, given twice",
        "--offline=yes, takes no value",
        "a.gguf b.gguf, unknown argument b.gguf",
        "-x, unknown argument -x",
        "--no-offline, unknown argument --no-offline"
    })
    void wordsThatFitNoFlagAreRefused(String line, String problem) {
        Flags.Parsed.Exit exit = exit(line.split(" ", -1));
        assertThat(exit.code()).isEqualTo(2);
        assertThat(exit.text()).contains(problem);
    }

    @Test
    void keysAndRootPathsAreTakenAsTheyAreMeant() {
        assertThat(serve("--api-key", "secret\n").edge().apiKeys()).containsExactly("secret");
        assertThat(exit("--api-key", "").text()).contains("--api-key is blank");
        assertThat(serve("--root-path", "/x/").edge().rootPath()).isEqualTo("/x");
        assertThat(exit("--root-path", "x").text()).contains("must begin with /");
    }

    @Test
    void helpListsEveryFlagAndExitsWithZero() {
        Flags.Parsed.Exit exit = exit("--help");
        assertThat(exit.code()).isZero();
        assertThat(exit.text()).contains("--max-num-seqs", "--kv-cache-memory-bytes", "--scheduling-policy");
    }

    @Test
    void theKeyOfTheEnvironmentCounts() {
        ServerConfig config =
                ((Flags.Parsed.Serve) Flags.parse(Map.of("QUIRE_API_KEY", "secret"), "--api-key", "other")).config();
        assertThat(config.edge().apiKeys()).containsExactly("other", "secret");
    }
}
