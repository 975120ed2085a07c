package dev.quire.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class StopMatcherTest {
    @Test
    void passesTextThroughWithoutStopStrings() {
        StopMatcher matcher = new StopMatcher(List.of(), false);
        assertThat(matcher.push("anything")).isEqualTo(new StopMatcher.Match("anything", null));
        assertThat(matcher.flush()).isEmpty();
    }

    @Test
    void holdsBackOnlyWhatMayBeginAStopString() {
        StopMatcher matcher = new StopMatcher(List.of("<stop>"), false);
        assertThat(matcher.push("a<st")).isEqualTo(new StopMatcher.Match("a", null));
        assertThat(matcher.push("ill ")).isEqualTo(new StopMatcher.Match("<still ", null));
        assertThat(matcher.push("<sto")).isEqualTo(new StopMatcher.Match("", null));
        assertThat(matcher.push("p> more")).isEqualTo(new StopMatcher.Match("", "<stop>"));
        assertThat(matcher.flush()).isEmpty();
    }

    @Test
    void keepsTheStopStringWhenAsked() {
        StopMatcher matcher = new StopMatcher(List.of("END"), true);
        assertThat(matcher.push("the EN").text()).isEqualTo("the ");
        assertThat(matcher.push("D and on")).isEqualTo(new StopMatcher.Match("END", "END"));
    }

    @Test
    void ofTwoThatEndTogetherTheLongerWins() {
        assertThat(new StopMatcher(List.of("b", "ab"), false).push("xab")).isEqualTo(new StopMatcher.Match("x", "ab"));
    }

    @Test
    void theOneCompleteFirstWinsOverTheOneBegunFirst() {
        assertThat(new StopMatcher(List.of("abcde", "c"), false).push("xabcde"))
                .isEqualTo(new StopMatcher.Match("xab", "c"));
    }

    @Test
    void ignoresTextAfterTheMatch() {
        StopMatcher matcher = new StopMatcher(List.of("."), false);
        matcher.push("a.");
        assertThat(matcher.push("b")).isEqualTo(new StopMatcher.Match("", "."));
    }

    @Test
    void releasesTheHeldTextAtTheEnd() {
        StopMatcher matcher = new StopMatcher(List.of("abc"), false);
        assertThat(matcher.push("xab").text()).isEqualTo("x");
        assertThat(matcher.flush()).isEqualTo("ab");
    }

    @Test
    void neverCutsASurrogatePair() {
        StopMatcher matcher = new StopMatcher(List.of("😀", "\uDE01"), false);
        assertThat(matcher.push("😁😂")).isEqualTo(new StopMatcher.Match("😁😂", null));
    }

    @Test
    void refusesAnEmptyStopString() {
        assertThatThrownBy(() -> new StopMatcher(List.of("a", ""), false)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void equalsTheNaiveSearchOnRandomTextsAndCuts() {
        SplittableRandom random = new SplittableRandom(42);
        for (int round = 0; round < 20_000; round++) {
            String text = word(random, random.nextInt(0, 30));
            List<String> stops = new ArrayList<>();
            for (int i = random.nextInt(1, 5); i > 0; i--) {
                stops.add(word(random, random.nextInt(1, 6)));
            }
            boolean include = random.nextBoolean();
            assertThat(run(new StopMatcher(stops, include), text, random))
                    .as("%s in %s", stops, text)
                    .isEqualTo(naive(stops, text, include));
        }
    }

    @Test
    void aLongRepetitiveStopStringStaysLinear() {
        StopMatcher matcher = new StopMatcher(List.of("a".repeat(5_000) + "b"), false);
        long length = 0;
        for (int i = 0; i < 2_000; i++) {
            length += matcher.push("a".repeat(1_000)).text().length();
        }
        assertThat(length + matcher.flush().length()).isEqualTo(2_000_000);
    }

    private static StopMatcher.Match run(StopMatcher matcher, String text, SplittableRandom random) {
        StringBuilder out = new StringBuilder();
        int from = 0;
        while (from < text.length()) {
            int to = Math.min(text.length(), from + random.nextInt(1, 6));
            StopMatcher.Match match = matcher.push(text.substring(from, to));
            out.append(match.text());
            if (match.stop() != null) {
                return new StopMatcher.Match(out.toString(), match.stop());
            }
            from = to;
        }
        return new StopMatcher.Match(out.append(matcher.flush()).toString(), null);
    }

    private static StopMatcher.Match naive(List<String> stops, String text, boolean include) {
        for (int end = 1; end <= text.length(); end++) {
            String best = null;
            for (String stop : stops) {
                if (text.substring(0, end).endsWith(stop) && (best == null || stop.length() > best.length())) {
                    best = stop;
                }
            }
            if (best != null) {
                return new StopMatcher.Match(text.substring(0, include ? end : end - best.length()), best);
            }
        }
        return new StopMatcher.Match(text, null);
    }

    private static String word(SplittableRandom random, int length) {
        StringBuilder word = new StringBuilder();
        for (int i = 0; i < length; i++) {
            word.append((char) ('a' + random.nextInt(3)));
        }
        return word.toString();
    }
}
