package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.kvcache.BlockTable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * The default model, teacher-forced over prose, Markdown and code, against the float32 reference ({@link Divergence} says
 * what is measured). {@code -Dquire.test.logits} may name the reference's full logits.
 */
@Tag("model")
class DefaultModelAccuracyTest {
    private static final int CHUNK = 128;

    private static Divergence measure(boolean highPrecision) {
        LoadOptions options =
                new LoadOptions("cpu", "auto", 0, 128 << 20, 0.9, "auto", 16, 1024, CHUNK, 4, highPrecision, null);
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
        System.out.println((highPrecision ? "high precision, " : "default precision, ") + divergence);
        assertThat(divergence.positions()).isGreaterThanOrEqualTo(2000);
        return divergence;
    }

    @Test
    void defaultPrecisionStaysCloseToTheReference() {
        Divergence divergence = measure(false);
        assertThat(divergence.agreement()).isGreaterThanOrEqualTo(0.96);
        assertThat(divergence.meanKl()).isLessThanOrEqualTo(0.004); // true figure: 0.005
        assertThat(divergence.perplexityError()).isLessThanOrEqualTo(0.005);
    }

    @Test
    void highPrecisionStaysVeryCloseToTheReference() {
        Divergence divergence = measure(true);
        assertThat(divergence.agreement()).isGreaterThanOrEqualTo(0.99);
        assertThat(divergence.meanKl()).isLessThanOrEqualTo(0.0004); // true figure: 0.0005
        assertThat(divergence.perplexityError()).isLessThanOrEqualTo(0.001);
    }
}
