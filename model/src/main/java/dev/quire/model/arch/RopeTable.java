package dev.quire.model.arch;

import org.jspecify.annotations.Nullable;

/**
 * Cosines and sines of the rotary embedding (Su et al. 2021). Frequencies and angles are rounded to float32 where the
 * reference implementation does: at position 8,000 one rounding more or less moves an angle by a thousandth.
 */
final class RopeTable {
    private RopeTable() {}

    /** {@code [positions, rotaryDim]}: first half cosines, second half sines. */
    static float[] cosSin(ModelConfig config, int positions) {
        float[] frequencies = frequencies(config);
        int half = frequencies.length;
        float[] table = new float[Math.multiplyExact(positions, 2 * half)];
        for (int p = 0; p < positions; p++) {
            for (int i = 0; i < half; i++) {
                float angle = p * frequencies[i];
                table[2 * half * p + i] = (float) Math.cos(angle);
                table[2 * half * p + half + i] = (float) Math.sin(angle);
            }
        }
        return table;
    }

    static float[] frequencies(ModelConfig config) {
        int dim = config.rotaryDim();
        float[] frequencies = new float[dim / 2];
        for (int i = 0; i < frequencies.length; i++) {
            float exponent = 2f * i / dim;
            frequencies[i] = 1f / (float) Math.pow(config.rope().theta(), exponent);
        }
        scale(frequencies, config.rope().scaling());
        return frequencies;
    }

    private static void scale(float[] frequencies, ModelConfig.@Nullable Scaling scaling) {
        switch (scaling) {
            case null -> {
                return;
            }
            case ModelConfig.Scaling.Linear linear -> {
                for (int i = 0; i < frequencies.length; i++) {
                    frequencies[i] /= (float) linear.factor();
                }
            }
            case ModelConfig.Scaling.Factors factors -> {
                for (int i = 0; i < frequencies.length; i++) {
                    frequencies[i] /= factors.divisors()[i];
                }
            }
            case ModelConfig.Scaling.Llama3 rule -> {
                for (int i = 0; i < frequencies.length; i++) {
                    frequencies[i] = stretched(frequencies[i], rule);
                }
            }
        }
    }

    private static float stretched(float frequency, ModelConfig.Scaling.Llama3 rule) {
        float wavelength = (float) (2 * Math.PI) / frequency;
        float factor = (float) rule.factor();
        if (wavelength > rule.originalPositions() / rule.lowFrequency()) {
            return frequency / factor;
        }
        if (wavelength < rule.originalPositions() / rule.highFrequency()) {
            return frequency;
        }
        float low = (float) rule.lowFrequency();
        float smooth = (rule.originalPositions() / wavelength - low) / ((float) rule.highFrequency() - low);
        return (1 - smooth) * frequency / factor + smooth * frequency;
    }
}
