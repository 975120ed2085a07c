package dev.quire.scheduler;

import dev.quire.model.Batch;
import dev.quire.model.sampling.TokenCounts;

/**
 * A model whose next token is a function of all tokens so far, the seed, the stream and the counts. Where top_k is set
 * it repeats itself: mostly a token is then a function of the last one alone.
 */
final class FakeModel {
    static final int VOCAB = 1000;

    private FakeModel() {}

    /** Identity of a prefix with one more token; 0 is the empty prefix. */
    static long extend(long prefix, int token) {
        long x = (prefix ^ token + 1) * 0x9E3779B97F4A7C15L;
        return (x ^ x >>> 31) * 0xBF58476D1CE4E5B9L;
    }

    static int draw(long prefix, int last, Batch.Draw draw) {
        boolean repeats = draw.params().topK() > 0 && Math.floorMod(prefix >>> 20, 12L) != 0;
        long x = (repeats ? last % 8 : prefix) ^ draw.params().seed() * 31 + draw.stream() * 0x9E3779B9L;
        TokenCounts counts = draw.counts();
        if (counts != null) {
            long sum = 0; // the order of the distinct tokens must not matter
            for (int i = 0; i < counts.size(); i++) {
                sum += (counts.token(i) + 1) * (7L + 13L * counts.outputs(i));
            }
            x ^= sum * 0x85EBCA6BL;
        }
        int token = (int) Math.floorMod(((x ^ x >>> 29) * 0x94D049BB133111EBL) >>> 16, (long) VOCAB);
        while (contains(draw.forbidden(), token)) {
            token = (token + 1) % VOCAB;
        }
        return token;
    }

    static float logprob(long prefix, int token) {
        return -Math.floorMod(prefix + token, 10_000L) / 1000f;
    }

    private static boolean contains(int[] tokens, int token) {
        for (int each : tokens) {
            if (each == token) {
                return true;
            }
        }
        return false;
    }

    /** What a choice of a request yields when nobody else is there. */
    static int[] alone(GenerationRequest request, int choice, int maxTokens) {
        TokenCounts counts = request.params().usesCounts() ? new TokenCounts() : null;
        long prefix = 0;
        for (int token : request.prompt()) {
            prefix = extend(prefix, token);
            if (counts != null) {
                counts.addPrompt(token);
            }
        }
        int[] out = new int[maxTokens];
        for (int i = 0; i < maxTokens; i++) {
            int[] forbidden = i < request.minTokens() ? request.endTokens() : new int[0];
            int last = i == 0 ? request.prompt()[request.prompt().length - 1] : out[i - 1];
            out[i] = draw(prefix, last, new Batch.Draw(request.params(), choice, counts, forbidden));
            if (contains(request.endTokens(), out[i])) {
                return java.util.Arrays.copyOf(out, i + 1);
            }
            prefix = extend(prefix, out[i]);
            if (counts != null) {
                counts.addOutput(out[i]);
            }
        }
        return out;
    }
}
