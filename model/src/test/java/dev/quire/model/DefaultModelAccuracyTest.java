package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.kvcache.BlockTable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The default model, teacher-forced over prose, Markdown and code, against the float32 reference ({@link Divergence} says
 * what is measured), on one device and over three ranks. {@code -Dquire.test.logits} may name the reference's full logits.
 */
@Tag("model")
class DefaultModelAccuracyTest {
    private static final int CHUNK = 128;

    private static Divergence measure(String kvType, boolean highPrecision, int ranks) {
        LoadOptions options = new LoadOptions(
                "cpu", "auto", 0, 128 << 20, 0, 0.9, kvType, 16, 1024, CHUNK, 4, highPrecision, ranks, null);
        Divergence.FullLogits full = new Divergence.FullLogits(System.getProperty("quire.test.logits", ""));
        Divergence divergence = new Divergence(full);
        try (ModelLoader.LoadedRunner model = ModelLoader.loadRunner(DefaultModel.file(), options, Progress.NONE)) {
            TokenRun run = new TokenRun(model.runner());
            for (AccuracyFixture.Text text : AccuracyFixture.read()) {
                BlockTable table = run.blocks(0, text.positions());
                for (int from = 0; from < text.positions(); from += CHUNK) {
                    int to = Math.min(from + CHUNK, text.positions());
                    run.step(TokenRun.scored(text.tokens(), from, to, table));
                    for (int p = from; p < to; p++) {
                        divergence.add(text, p, model.runner().logits(p - from));
                    }
                }
            }
        }
        System.out.println((highPrecision ? "high" : "default") + " precision, cache " + kvType + ", " + ranks
                + " ranks, " + divergence);
        assertThat(divergence.positions()).isGreaterThanOrEqualTo(2000);
        return divergence;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void defaultPrecisionStaysCloseToTheReference(int ranks) {
        Divergence divergence = measure("auto", false, ranks);
        assertThat(divergence.agreement()).isGreaterThanOrEqualTo(0.96);
        assertThat(divergence.meanKl()).isLessThanOrEqualTo(0.004); // true figure: 0.005
        assertThat(divergence.perplexityError()).isLessThanOrEqualTo(0.005);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void highPrecisionStaysVeryCloseToTheReference(int ranks) {
        Divergence divergence = measure("auto", true, ranks);
        assertThat(divergence.agreement()).isGreaterThanOrEqualTo(0.99);
        assertThat(divergence.meanKl()).isLessThanOrEqualTo(0.0004); // true figure: 0.0005
        assertThat(divergence.perplexityError()).isLessThanOrEqualTo(0.001);
    }

    /** Without the errors of 8-bit activations what is left is the cache's own. */
    @ParameterizedTest
    @CsvSource({"bf16, 0.99, 0.0001", "int8, 0.98, 0.0008", "fp8, 0.955, 0.005"})
    void cachesOfFewerBitsStayCloseToTheReference(String kvType, double agreement, double meanKl) {
        Divergence divergence = measure(kvType, true, 1);
        assertThat(divergence.agreement()).isGreaterThanOrEqualTo(agreement);
        assertThat(divergence.meanKl()).isLessThanOrEqualTo(meanKl);
    }

    @ParameterizedTest
    @CsvSource({"int8, 0.96, 0.004", "fp8, 0.945, 0.008"})
    void cachesOfCodesAddLittleToTheErrorsOfActivations(String kvType, double agreement, double meanKl) {
        Divergence divergence = measure(kvType, false, 1);
        assertThat(divergence.agreement()).isGreaterThanOrEqualTo(agreement);
        assertThat(divergence.meanKl()).isLessThanOrEqualTo(meanKl);
    }
}
