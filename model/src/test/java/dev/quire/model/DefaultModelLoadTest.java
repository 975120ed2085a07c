package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("model")
class DefaultModelLoadTest {
    @Test
    void loadsWithItsTokenizerAndKnowsItsName() {
        long start = System.nanoTime();
        LoadOptions options =
                new LoadOptions("auto", "auto", 0, 64 << 20, 0, 0.9, "auto", 16, 2048, 512, 16, false, 1, null);
        try (LoadedModel model = ModelLoader.load(DefaultModel.file(), options)) {
            System.out.printf("loaded in %d ms%n", (System.nanoTime() - start) / 1_000_000);
            assertThat(model.config().layers()).isEqualTo(30);
            assertThat(model.config().interleavedRope()).isTrue();
            assertThat(model.tokenizer().vocabSize()).isEqualTo(model.config().vocab());
            assertThat(model.tokenizer().encode("The capital of France is", false, false, 100))
                    .containsExactly(504, 3575, 282, 4649, 314);
            assertThat(model.name()).isNotBlank().doesNotContain(".gguf");
            assertThat(model.kvType()).isEqualTo("bf16");
            assertThat(model.kvBytes()).isLessThanOrEqualTo(64 << 20);
            assertThat(model.weightBytes()).isGreaterThan(80L << 20);
        }
    }
}
