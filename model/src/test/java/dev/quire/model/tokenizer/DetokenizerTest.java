package dev.quire.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DetokenizerTest {
    private final Tokenizer bytes = new ByteVocabulary(false, "hello", " world", "<end>");

    @Test
    void holdsACharacterUntilItsLastByte() {
        Detokenizer detokenizer = new Detokenizer(bytes, true);
        List<String> deltas = new ArrayList<>();
        for (int id : bytes.encode("a€😀b", false, false, 100)) {
            deltas.add(detokenizer.push(id));
        }
        assertThat(deltas).containsExactly("a", "", "", "€", "", "", "", "😀", "b");
        assertThat(detokenizer.flush()).isEmpty();
    }

    // Expected by the WHATWG rule; CPython's bytes.decode("utf-8", "replace") says the same.
    @ParameterizedTest
    @CsvSource({
        "80, 1",
        "c0af, 2",
        "e282, 1",
        "e28241, 1 A",
        "eda080, 3",
        "f08080af, 4",
        "f09f98, 1",
        "f09f9841, 1 A",
        "f4908080, 4",
        "f5ff, 2",
        "e0a0e0a0, 2",
        "c2c2a0, 1 \u00a0",
        "41, A"
    })
    void replacesEachMaximalIllFormedPart(String hex, String expected) {
        StringBuilder want = new StringBuilder();
        for (String part : expected.split(" ", -1)) {
            want.append(Character.isDigit(part.charAt(0)) ? "\uFFFD".repeat(Integer.parseInt(part)) : part);
        }
        int[] ids = ids(HexFormat.of().parseHex(hex));
        assertThat(Detokenizer.decode(bytes, ids, false)).isEqualTo(want.toString());
        assertThat(streamed(ids, false)).isEqualTo(want.toString());
    }

    @Test
    void streamedTextEqualsTheWholeForRandomIds() {
        SplittableRandom random = new SplittableRandom(7);
        for (int round = 0; round < 2_000; round++) {
            int[] ids = random.ints(random.nextInt(1, 40), 0, bytes.vocabSize()).toArray();
            boolean skip = random.nextBoolean();
            assertThat(streamed(ids, skip)).isEqualTo(Detokenizer.decode(bytes, ids, skip));
        }
    }

    @Test
    void agreesWithTheJdkOnWellFormedText() {
        SplittableRandom random = new SplittableRandom(8);
        for (int round = 0; round < 500; round++) {
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < 30; i++) {
                int codePoint = random.nextInt(0x110000);
                text.appendCodePoint(codePoint >= 0xD800 && codePoint < 0xE000 ? 'x' : codePoint);
            }
            byte[] utf8 = text.toString().getBytes(StandardCharsets.UTF_8);
            assertThat(streamed(ids(utf8), false)).isEqualTo(new String(utf8, StandardCharsets.UTF_8));
        }
    }

    @Test
    void leavesOutSpecialTokensOnlyWhenAsked() {
        int[] ids = {256, 258, 257};
        assertThat(Detokenizer.decode(bytes, ids, true)).isEqualTo("hello world");
        assertThat(Detokenizer.decode(bytes, ids, false)).isEqualTo("hello<end> world");
    }

    @Test
    void aSkippedSpecialTokenDoesNotBreakACharacter() {
        int[] ids = {0xE2, 0x82, 258, 0xAC};
        assertThat(streamed(ids, true)).isEqualTo("€");
    }

    @Test
    void dropsTheLeadingSpaceOfAWholeTextButKeepsThatOfAContinuation() {
        Tokenizer spaced = new ByteVocabulary(true, " world", "<s>");
        assertThat(Detokenizer.decode(spaced, new int[] {257, 256, 256}, true)).isEqualTo("world world");
        assertThat(new Detokenizer(spaced, true).push(256)).isEqualTo(" world");
    }

    private String streamed(int[] ids, boolean skipSpecial) {
        Detokenizer detokenizer = new Detokenizer(bytes, skipSpecial);
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            text.append(detokenizer.push(id));
        }
        return text.append(detokenizer.flush()).toString();
    }

    private static int[] ids(byte[] bytes) {
        int[] ids = new int[bytes.length];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = bytes[i] & 0xFF;
        }
        return ids;
    }
}
