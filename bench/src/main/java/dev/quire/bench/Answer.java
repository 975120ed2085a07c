package dev.quire.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * Reads the server-sent events of one completion and notes when each chunk came and what the server counted. The body
 * comes in pieces of any size. Ordinary chunks are told by their bytes; only those with an error or with usage are
 * parsed, so that the client takes little time from a server on the same cores. One thread.
 *
 * <p>A line of data is an event: no server of this API spreads one over several lines.
 */
final class Answer {
    private static final byte[] DATA = ascii("data:");
    private static final byte[] END = ascii("[DONE]");
    private static final byte[] CHOICES = ascii("\"choices\"");
    private static final byte[] USAGE = ascii("\"usage\"");

    private byte[] line = new byte[512]; // the beginning of a line whose end has not come
    private int lineLength;
    private long[] arrivals = new long[64];
    private int count;
    private int promptTokens = -1;
    private int outputTokens = -1;
    private boolean done;

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    /**
     * Takes a piece of the body that came at {@code now}, in nanoseconds.
     *
     * @throws IOException when the server says that it failed
     */
    void feed(byte[] data, int from, int to, long now) throws IOException {
        int start = from;
        for (int i = from; i < to; i++) {
            if (data[i] != '\n') {
                continue;
            }
            if (lineLength == 0) {
                endLine(data, start, i, now);
            } else {
                keep(data, start, i);
                int length = lineLength;
                lineLength = 0;
                endLine(line, 0, length, now);
            }
            start = i + 1;
        }
        keep(data, start, to);
    }

    private void keep(byte[] data, int from, int to) {
        int length = lineLength + to - from;
        if (length > line.length) {
            line = Arrays.copyOf(line, Math.max(length, 2 * line.length));
        }
        System.arraycopy(data, from, line, lineLength, to - from);
        lineLength = length;
    }

    private void endLine(byte[] data, int from, int lineEnd, long now) throws IOException {
        int to = lineEnd > from && data[lineEnd - 1] == '\r' ? lineEnd - 1 : lineEnd;
        int at = from + DATA.length;
        if (at > to || !Arrays.equals(data, from, at, DATA, 0, DATA.length)) {
            return; // a comment, another field or the end of an event
        }
        at = skipSpace(data, at, to);
        if (Arrays.equals(data, at, to, END, 0, END.length)) {
            done = true;
        } else if (holds(data, at, to, CHOICES, '[', '{') && !holds(data, at, to, USAGE, '{', '"')) {
            arrived(now);
        } else {
            parse(new String(data, at, to - at, StandardCharsets.UTF_8), now);
        }
    }

    private void arrived(long now) {
        arrivals = count == arrivals.length ? Arrays.copyOf(arrivals, 2 * count) : arrivals;
        arrivals[count++] = now;
    }

    private void parse(String text, long now) throws IOException {
        JsonNode chunk;
        try {
            chunk = Json.parse(text);
        } catch (JacksonException e) {
            throw new IOException("the stream holds what is not JSON: " + text, e);
        }
        if (chunk.has("error")) {
            throw new IOException("the stream broke: " + chunk.get("error"));
        }
        if (!chunk.path("choices").isEmpty()) {
            arrived(now);
        }
        JsonNode usage = chunk.path("usage");
        if (usage.isObject()) {
            promptTokens = usage.path("prompt_tokens").asInt();
            outputTokens = usage.path("completion_tokens").asInt();
        }
    }

    /** Whether the key is there with a value that begins so; in JSON a quote inside a string is escaped, so keys are found. */
    private static boolean holds(byte[] data, int from, int to, byte[] key, char first, char second) {
        for (int i = from; i + key.length <= to; i++) {
            if (data[i] == '"' && Arrays.equals(data, i, i + key.length, key, 0, key.length)) {
                int at = next(data, i + key.length, to, ':');
                at = at < 0 ? at : next(data, at, to, first);
                return at >= 0 && next(data, at, to, second) >= 0;
            }
        }
        return false;
    }

    private static int next(byte[] data, int from, int to, char wanted) {
        int at = skipSpace(data, from, to);
        return at < to && data[at] == wanted ? at + 1 : -1;
    }

    private static int skipSpace(byte[] data, int from, int to) {
        int at = from;
        while (at < to && data[at] == ' ') {
            at++;
        }
        return at;
    }

    /**
     * What was measured.
     *
     * @param started when the request was sent
     * @throws IOException when the answer is not whole, or not as long as was asked for
     */
    Sample sample(long started, int askedTokens) throws IOException {
        if (!done || count == 0) {
            throw new IOException("the stream ended early, after " + count + " chunks");
        }
        if (outputTokens < 0) {
            throw new IOException("the server counted no tokens: it ignores stream_options.include_usage");
        }
        if (outputTokens != askedTokens) {
            throw new IOException("asked for " + askedTokens + " tokens, the server counted " + outputTokens);
        }
        return new Sample(started, Arrays.copyOf(arrivals, count), promptTokens, outputTokens);
    }
}
