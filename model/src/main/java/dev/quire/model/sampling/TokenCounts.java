package dev.quire.model.sampling;

import java.util.Arrays;

/**
 * The distinct tokens of a sequence, and how often each is in its output: what the penalties need. Kept only for
 * sequences that use them. Written by the engine thread.
 */
public final class TokenCounts {
    private int[] tokens = new int[16];
    private int[] outputs = new int[16];
    private int[] slots = new int[64]; // open addressing; index into tokens + 1
    private int size;

    /** Counts a token of the prompt. */
    public void addPrompt(int token) {
        find(token);
    }

    /** Counts a token of the output. */
    public void addOutput(int token) {
        int at = find(token); // may move the array
        outputs[at]++;
    }

    /** Number of distinct tokens. */
    public int size() {
        return size;
    }

    /** The i-th distinct token, in order of first appearance. */
    public int token(int i) {
        return tokens[i];
    }

    /** How often the i-th distinct token is in the output; 0 = only in the prompt. */
    public int outputs(int i) {
        return outputs[i];
    }

    private int find(int token) {
        if (size * 2 >= slots.length) {
            rehash();
        }
        int mask = slots.length - 1;
        for (int at = (token * 0x9E3779B1) >>> 8 & mask; ; at = at + 1 & mask) {
            if (slots[at] == 0) {
                if (size == tokens.length) {
                    tokens = Arrays.copyOf(tokens, size * 2);
                    outputs = Arrays.copyOf(outputs, size * 2);
                }
                tokens[size] = token;
                slots[at] = ++size;
                return size - 1;
            }
            if (tokens[slots[at] - 1] == token) {
                return slots[at] - 1;
            }
        }
    }

    private void rehash() {
        slots = new int[slots.length * 2];
        int mask = slots.length - 1;
        for (int i = 0; i < size; i++) {
            int at = (tokens[i] * 0x9E3779B1) >>> 8 & mask;
            while (slots[at] != 0) {
                at = at + 1 & mask;
            }
            slots[at] = i + 1;
        }
    }
}
