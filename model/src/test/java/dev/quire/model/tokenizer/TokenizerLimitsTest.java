package dev.quire.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.model.weights.GgufFile;
import java.nio.CharBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("model")
class TokenizerLimitsTest {
    private static Tokenizer tokenizer;

    @BeforeAll
    static void load() {
        try (GgufFile file = GgufFile.open(DefaultModel.path())) {
            tokenizer = Tokenizers.fromGguf(file);
        }
    }

    @Test
    void knowsTheSpecialTokensOfTheDefaultModel() {
        assertThat(tokenizer.vocabSize()).isEqualTo(49_152);
        assertThat(tokenizer.bos()).isEqualTo(1);
        assertThat(tokenizer.eos()).containsExactly(0, 2);
        assertThat(tokenizer.isSpecial(2)).isTrue();
        assertThat(tokenizer.isSpecial(100)).isFalse();
        assertThat(tokenizer.piece(2)).isEqualTo("<|im_end|>");
        assertThat(tokenizer.idOf("<|im_end|>")).isEqualTo(2);
        assertThat(tokenizer.idOf("no such piece")).isEqualTo(-1);
        assertThat(tokenizer.stripsLeadingSpace()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"a", "\n", " ", "é", "a\u0301", "<", "ab ", "'", "😀"})
    void aMebibyteOfOneUnitTakesLessThanSecondsAndComesBack(String unit) {
        String text = unit.repeat((1 << 20) / unit.length());
        tokenizer.encode(text.substring(0, 10_000), false, true, Integer.MAX_VALUE);
        int[] ids = Assertions.assertTimeout(
                Duration.ofSeconds(6), () -> tokenizer.encode(text, false, true, Integer.MAX_VALUE));
        assertThat(Detokenizer.decode(tokenizer, ids, false)).isEqualTo(text);
    }

    @Test
    void givesUpOnATextBeyondTheLimitAtOnce() {
        String spaces = " ".repeat(4 << 20);
        String words = "some words and more ".repeat(200_000);
        Assertions.assertTimeout(Duration.ofSeconds(2), () -> {
            assertThat(tokenizer.encode(spaces, false, false, 2048)).hasSizeGreaterThan(2048);
            assertThat(tokenizer.encode(words, false, false, 2048)).hasSize(2049);
        });
    }

    @Test
    void aTextOfExactlyTheLimitIsNotCutShort() {
        int[] ids = tokenizer.encode("one two three four five", true, true, 1_000);
        assertThat(tokenizer.encode("one two three four five", true, true, ids.length))
                .isEqualTo(ids);
        assertThat(tokenizer.encode("one two three four five", true, true, ids.length - 1))
                .hasSizeGreaterThan(ids.length - 1);
    }

    @Test
    void aLoneSurrogateIsAReplacementCharacter() {
        assertThat(encode("a\uD83Db")).isEqualTo(encode("a\uFFFDb"));
        assertThat(encode("\uDE00")).isEqualTo(encode("\uFFFD"));
        assertThat(encode("\uDE00\uD83D")).isEqualTo(encode("\uFFFD\uFFFD"));
        assertThat(encode("\uD83D\uDE00")).isNotEqualTo(encode("\uFFFD\uFFFD"));
    }

    @Test
    void idsOfAPaddedEmbeddingStandForNothing() {
        int beyond = tokenizer.vocabSize() + 7;
        assertThat(tokenizer.bytes(beyond)).isEmpty();
        assertThat(tokenizer.piece(beyond)).isEmpty();
        assertThat(tokenizer.isSpecial(beyond)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"(?:(?:){2000000000}){2000000000}", "a{99999}", "(a){3}", "x{2,10000}"})
    void anUnknownExpressionThatCountsWithoutEndIsRefused(String regex) {
        assertThatThrownBy(() -> SplitPattern.untrusted(regex))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("counts repetitions");
    }

    @Test
    void aReplacementThatMakesATextMuchLongerIsStopped() {
        SplitPattern space = SplitPattern.literal(" ");
        String text = " ".repeat(10_000);
        assertThat(space.replaceAll(text, "\u2581\u2581")).hasSize(20_000);
        String replacement = "x".repeat(100_000);
        assertThatThrownBy(() -> space.replaceAll(text, replacement))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("too long");
    }

    @Test
    void anAddedTokenOfThousandsOfCharactersIsRefused() {
        AddedToken huge = AddedToken.exact("a".repeat(20_000), 5, true);
        assertThatThrownBy(() -> new AddedTokens(List.of(huge)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("20000 characters");
    }

    @Test
    void takesAnyCharSequence() {
        assertThat(tokenizer.encode(CharBuffer.wrap("hello"), false, true, 10)).isEqualTo(encode("hello"));
    }

    // The default model has no tokens for some control characters and for characters beyond U+3FFFF.
    @Test
    void everyTextComesBackFromItsIds() {
        SplittableRandom random = new SplittableRandom(3);
        for (int round = 0; round < 3_000; round++) {
            String text = randomText(random);
            int[] ids = encode(text);
            assertThat(Detokenizer.decode(tokenizer, ids, false)).isEqualTo(text);
            Detokenizer detokenizer = new Detokenizer(tokenizer, false);
            StringBuilder streamed = new StringBuilder();
            for (int id : ids) {
                streamed.append(detokenizer.push(id));
            }
            assertThat(streamed.append(detokenizer.flush()).toString()).isEqualTo(text);
        }
    }

    @Test
    void streamedTextEqualsTheWholeForRandomIds() {
        SplittableRandom random = new SplittableRandom(4);
        for (int round = 0; round < 500; round++) {
            int[] ids = random.ints(50, 0, tokenizer.vocabSize()).toArray();
            Detokenizer detokenizer = new Detokenizer(tokenizer, true);
            StringBuilder streamed = new StringBuilder();
            Arrays.stream(ids).forEach(id -> streamed.append(detokenizer.push(id)));
            assertThat(streamed.append(detokenizer.flush()).toString())
                    .isEqualTo(Detokenizer.decode(tokenizer, ids, true));
        }
    }

    private static int[] encode(String text) {
        return tokenizer.encode(text, false, true, 1 << 20);
    }

    private static String randomText(SplittableRandom random) {
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(60); i > 0; i--) {
            int bound = new int[] {0x80, 0x80, 0x300, 0x10000, 0x20000}[random.nextInt(5)];
            int codePoint = random.nextInt(0x20, bound);
            text.appendCodePoint(codePoint >= 0xD800 && codePoint < 0xE000 ? ' ' : codePoint);
        }
        return text.toString();
    }
}
