package dev.quire.model;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** What the reference says of mixed text, position by position; {@code accuracy.bin} of make_default_golden.py. */
final class AccuracyFixture {
    static final int TOP = 32;

    /**
     * One text. The arrays have an entry per position but the last.
     *
     * @param tokens the text
     * @param logprobs of the token that follows
     * @param topTokens the 32 best ids, best first
     * @param topLogprobs theirs
     */
    record Text(int[] tokens, float[] logprobs, int[][] topTokens, float[][] topLogprobs) {
        int positions() {
            return logprobs.length;
        }
    }

    private AccuracyFixture() {}

    static List<Text> read() {
        try (InputStream in = AccuracyFixture.class.getResourceAsStream("/default/accuracy.bin")) {
            return parse(
                    ByteBuffer.wrap(Objects.requireNonNull(in).readAllBytes()).order(ByteOrder.LITTLE_ENDIAN));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<Text> parse(ByteBuffer in) {
        in.position(4);
        List<Text> texts = new ArrayList<>();
        for (int left = in.getInt(); left > 0; left--) {
            int[] tokens = new int[in.getInt()];
            for (int i = 0; i < tokens.length; i++) {
                tokens[i] = in.getInt();
            }
            int n = tokens.length - 1;
            Text text = new Text(tokens, new float[n], new int[n][TOP], new float[n][TOP]);
            for (int p = 0; p < n; p++) {
                position(in, text, p);
            }
            texts.add(text);
        }
        return texts;
    }

    private static void position(ByteBuffer in, Text text, int p) {
        text.logprobs[p] = in.getFloat();
        for (int i = 0; i < TOP; i++) {
            text.topTokens[p][i] = Short.toUnsignedInt(in.getShort());
        }
        for (int i = 0; i < TOP; i++) {
            text.topLogprobs[p][i] = in.getFloat();
        }
    }
}
