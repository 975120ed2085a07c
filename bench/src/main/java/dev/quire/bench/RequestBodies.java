package dev.quire.bench;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;

/**
 * Writes the bodies of requests for {@code /v1/completions}: greedy, of exact length, streamed with usage.
 *
 * @param seed decides the tokens: another seed, other prompts, so that no server knows them from a run before
 */
record RequestBodies(String model, Form form, long seed) {
    // Ordinary tokens in every vocabulary of today; special tokens lie below or above.
    private static final int FIRST_TOKEN = 1000;
    private static final int LAST_TOKEN = 30000;
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;

    /** How prompts are written. */
    enum Form {
        /** As token ids: exact lengths. */
        IDS,
        /** As words that are one token each in most vocabularies: for servers that take text only. */
        TEXT
    }

    /** The body of the request with that number. */
    byte[] body(int number, Lengths lengths) {
        SplittableRandom common = new SplittableRandom(seed);
        SplittableRandom own = new SplittableRandom(seed + GOLDEN * (number + 1));
        ByteArrayOutputStream out = new ByteArrayOutputStream(256 + 6 * lengths.prompt());
        write(out, "{\"model\":" + Json.quote(model) + ",\"prompt\":" + (form == Form.IDS ? "[" : "\""));
        for (int i = 0; i < lengths.prompt(); i++) {
            int token = (i < lengths.shared() ? common : own).nextInt(FIRST_TOKEN, LAST_TOKEN);
            switch (form) {
                case IDS -> writeNumber(out, i > 0, token);
                case TEXT -> write(out, (i > 0 ? " " : "") + Words.word(token));
            }
        }
        write(out, form == Form.IDS ? "]" : "\"");
        write(
                out,
                ",\"max_tokens\":" + lengths.output() + ",\"temperature\":0,\"ignore_eos\":true,\"stream\":true,"
                        + "\"stream_options\":{\"include_usage\":true}}");
        return out.toByteArray();
    }

    private static void write(ByteArrayOutputStream out, String text) {
        out.writeBytes(text.getBytes(StandardCharsets.UTF_8));
    }

    private static void writeNumber(ByteArrayOutputStream out, boolean comma, int token) {
        if (comma) {
            out.write(',');
        }
        int unit = 1;
        while (token / unit >= 10) {
            unit *= 10;
        }
        for (; unit > 0; unit /= 10) {
            out.write('0' + token / unit % 10);
        }
    }
}
