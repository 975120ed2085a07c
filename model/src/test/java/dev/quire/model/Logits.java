package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;

/** How far rows of logits lie from those of a reference. */
final class Logits {
    private Logits() {}

    /** The largest difference of two logits; NaN where one is none. */
    static float distance(List<float[]> seen, List<float[]> expected) {
        assertThat(seen).hasSameSizeAs(expected);
        float worst = 0;
        for (int p = 0; p < seen.size(); p++) {
            worst = larger(worst, distance(seen.get(p), expected.get(p)));
        }
        return worst;
    }

    /** The same, each row in units of its largest logit. */
    static float relativeDistance(List<float[]> seen, List<float[]> expected) {
        assertThat(seen).hasSameSizeAs(expected);
        float worst = 0;
        for (int p = 0; p < seen.size(); p++) {
            float largest = 0;
            for (float logit : expected.get(p)) {
                largest = Math.max(largest, Math.abs(logit));
            }
            worst = larger(worst, distance(seen.get(p), expected.get(p)) / largest);
        }
        return worst;
    }

    private static float distance(float[] seen, float[] expected) {
        float worst = 0;
        for (int i = 0; i < expected.length; i++) {
            worst = larger(worst, Math.abs(seen[i] - expected[i]));
        }
        return worst;
    }

    private static float larger(float worst, float error) {
        return error <= worst ? worst : error; // NaN wins
    }
}
