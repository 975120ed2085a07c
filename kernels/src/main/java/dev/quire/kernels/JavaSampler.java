package dev.quire.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Sampling of {@link JavaBackend}, in the order of work that quire.h gives. Probabilities are in double. */
final class JavaSampler {
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

    private final Step step;
    private final float[] raw;
    private final float[] adjusted;

    private JavaSampler(Step step, int vocab) {
        this.step = step;
        raw = new float[vocab];
        adjusted = new float[vocab];
    }

    static void sample(Op.Sample op, Step step) {
        JavaSampler sampler = new JavaSampler(step, op.logits().cols());
        MemorySegment logits = JavaKernels.memory(op.logits());
        for (int s = 0; s < step.sampleCount(); s++) {
            sampler.one(logits, s);
        }
    }

    private int integer(int sample, int field) {
        return step.samples.get(INT, (long) sample * Step.SAMPLE_BYTES + field);
    }

    private float number(int sample, int field) {
        return step.samples.get(FLOAT, (long) sample * Step.SAMPLE_BYTES + field);
    }

    private void one(MemorySegment logits, int s) {
        JavaKernels.read(logits, integer(s, Step.SAMPLE_ROW), raw, raw.length);
        int wanted = integer(s, Step.SAMPLE_LOGPROBS);
        int token = usable() ? choose(s) : -1;
        step.outToken.setAtIndex(INT, s, token);
        step.outLogprob.setAtIndex(FLOAT, s, 0);
        for (int i = 0; i < wanted; i++) {
            top(s, i, -1, 0);
        }
        if (token >= 0 && wanted >= 0) {
            logprobs(s, token, wanted);
        }
    }

    private void top(int s, int i, int token, float logprob) {
        step.outTopToken.setAtIndex(INT, (long) s * Step.MAX_LOGPROBS + i, token);
        step.outTopLogprob.setAtIndex(FLOAT, (long) s * Step.MAX_LOGPROBS + i, logprob);
    }

    /** No NaN, no positive infinity, and at least one token that is possible: negative infinity is a probability of 0. */
    private boolean usable() {
        boolean possible = false;
        for (float logit : raw) {
            if (!(logit < Float.POSITIVE_INFINITY)) {
                return false;
            }
            possible |= logit > Float.NEGATIVE_INFINITY;
        }
        return possible;
    }

    /** The target, the arg-max or a draw; -1 when every token is forbidden. */
    private int choose(int s) {
        int target = integer(s, Step.SAMPLE_TARGET);
        if (target >= 0) {
            return target;
        }
        adjust(s);
        int best = 0;
        for (int i = 1; i < adjusted.length; i++) {
            if (adjusted[i] > adjusted[best]) {
                best = i;
            }
        }
        if (!Float.isFinite(adjusted[best])) {
            return -1;
        }
        return number(s, Step.SAMPLE_TEMPERATURE) == 0 ? best : draw(s, adjusted[best]);
    }

    private void adjust(int s) {
        System.arraycopy(raw, 0, adjusted, 0, raw.length);
        for (int i = integer(s, Step.SAMPLE_BIAS); i < integer(s, Step.SAMPLE_BIAS + 4); i++) {
            adjusted[step.biasToken.getAtIndex(INT, i)] += step.biasValue.getAtIndex(FLOAT, i);
        }
        float repetition = number(s, Step.SAMPLE_REPETITION);
        float presence = number(s, Step.SAMPLE_REPETITION + 4);
        float frequency = number(s, Step.SAMPLE_REPETITION + 8);
        for (int i = integer(s, Step.SAMPLE_COUNT); i < integer(s, Step.SAMPLE_COUNT + 4); i++) {
            int token = step.countToken.getAtIndex(INT, i);
            int outputs = step.countOutput.getAtIndex(INT, i);
            float logit = adjusted[token];
            logit = logit > 0 ? logit / repetition : logit * repetition;
            adjusted[token] = outputs == 0 ? logit : logit - presence - frequency * outputs;
        }
    }

    private int draw(int s, float largest) {
        double[] weights = new double[adjusted.length];
        float temperature = number(s, Step.SAMPLE_TEMPERATURE);
        float minP = number(s, Step.SAMPLE_MIN_P);
        for (int i = 0; i < weights.length; i++) {
            double weight = Math.exp(((double) adjusted[i] - largest) / temperature);
            weights[i] = weight < minP ? 0 : weight;
        }
        int topK = integer(s, Step.SAMPLE_TOP_K);
        float topP = number(s, Step.SAMPLE_TOP_P);
        if ((topK > 0 && topK < weights.length) || topP < 1) {
            keepBest(weights, topK == 0 ? weights.length : topK, topP);
        }
        double total = 0;
        for (double weight : weights) {
            total += weight;
        }
        float uniform = Philox.uniform(
                step.samples.get(ValueLayout.JAVA_LONG, (long) s * Step.SAMPLE_BYTES + Step.SAMPLE_SEED),
                integer(s, Step.SAMPLE_POSITION),
                integer(s, Step.SAMPLE_STREAM));
        return invert(weights, uniform * total);
    }

    /** The first token whose cumulative weight is above {@code point}; the last possible one when rounding misses. */
    private static int invert(double[] weights, double point) {
        double sum = 0;
        int last = -1;
        for (int i = 0; i < weights.length; i++) {
            if (weights[i] > 0) {
                last = i;
                sum += weights[i];
                if (sum > point) {
                    return i;
                }
            }
        }
        return last;
    }

    /** Zeroes all but the k largest weights, then all but the fewest whose sum reaches {@code topP} of theirs. */
    private void keepBest(double[] weights, int k, float topP) {
        int[] order = bestFirst(adjusted);
        double total = 0;
        for (int i = 0; i < Math.min(k, order.length); i++) {
            total += weights[order[i]];
        }
        double sum = 0;
        for (int i = 0; i < order.length; i++) {
            double weight = weights[order[i]];
            if (i >= k || (i > 0 && sum >= topP * total)) {
                weights[order[i]] = 0;
            }
            sum += weight;
        }
    }

    /** Token ids by value, largest first, lowest id on ties; values are not NaN. */
    private static int[] bestFirst(float[] values) {
        long[] keys = new long[values.length];
        for (int i = 0; i < values.length; i++) {
            int bits = Float.floatToIntBits(values[i] + 0.0f); // -0 and 0 tie
            int ascending = bits >= 0 ? bits : bits ^ 0x7FFFFFFF;
            keys[i] = (long) ~ascending << 32 | i;
        }
        Arrays.sort(keys);
        int[] order = new int[keys.length];
        for (int i = 0; i < order.length; i++) {
            order[i] = (int) keys[i];
        }
        return order;
    }

    private void logprobs(int s, int token, int wanted) {
        double largest = Double.NEGATIVE_INFINITY;
        for (float logit : raw) {
            largest = Math.max(largest, logit);
        }
        double sum = 0;
        for (float logit : raw) {
            sum += Math.exp(logit - largest);
        }
        double normaliser = largest + Math.log(sum);
        step.outLogprob.setAtIndex(FLOAT, s, (float) (raw[token] - normaliser));
        if (wanted > 0) {
            int[] order = bestFirst(raw);
            for (int i = 0; i < Math.min(wanted, order.length); i++) {
                top(s, i, order[i], (float) (raw[order[i]] - normaliser));
            }
        }
    }
}
