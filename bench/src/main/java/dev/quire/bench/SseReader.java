package dev.quire.bench;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Reads the data of server-sent events from a stream of bytes. One thread. */
final class SseReader {
    private static final String DATA = "data:";

    private final InputStream in;
    private final ByteArrayOutputStream line = new ByteArrayOutputStream(512);
    private boolean afterCarriageReturn;

    SseReader(InputStream in) {
        this.in = new BufferedInputStream(in, 1 << 14);
    }

    /** The data of the next event, its lines joined by line feeds; null at the end of the stream. */
    @Nullable
    String next() throws IOException {
        StringBuilder data = null;
        for (String text = readLine(); text != null; text = readLine()) {
            if (text.isEmpty()) {
                if (data != null) {
                    return data.toString();
                }
            } else if (text.startsWith(DATA)) {
                data = data == null ? new StringBuilder() : data.append('\n');
                data.append(
                        text, text.startsWith(" ", DATA.length()) ? DATA.length() + 1 : DATA.length(), text.length());
            }
        }
        return null; // an event that the end of the stream cut off is no event
    }

    /** A line without its end, which is CR, LF or both; null when no whole line is left. */
    private @Nullable String readLine() throws IOException {
        line.reset();
        while (true) {
            int b = in.read();
            boolean secondHalf = afterCarriageReturn && b == '\n';
            afterCarriageReturn = b == '\r';
            if (b < 0) {
                return null;
            } else if (!secondHalf && (b == '\n' || b == '\r')) {
                return line.toString(StandardCharsets.UTF_8);
            } else if (!secondHalf) {
                line.write(b);
            }
        }
    }
}
