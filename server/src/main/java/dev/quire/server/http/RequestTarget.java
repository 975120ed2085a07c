package dev.quire.server.http;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** The target of a request line, decoded strictly: what cannot be read in one way only is refused. */
final class RequestTarget {
    private RequestTarget() {}

    /** The path, percent-decoded and without the query, or null when the target is malformed. */
    static @Nullable String path(String raw) {
        String target = raw;
        if (target.regionMatches(true, 0, "http://", 0, 7) || target.regionMatches(true, 0, "https://", 0, 8)) {
            int slash = target.indexOf('/', target.indexOf("//") + 2);
            target = slash < 0 ? "/" : target.substring(slash);
        }
        if (!target.startsWith("/") && !target.equals("*")) {
            return null;
        }
        int mark = target.indexOf('?');
        return decode(mark < 0 ? target : target.substring(0, mark));
    }

    private static @Nullable String decode(String raw) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(raw.length());
        for (int i = 0; i < raw.length(); i++) {
            char c = raw.charAt(i);
            int b = c;
            if (c == '%') {
                if (i + 2 >= raw.length()) {
                    return null;
                }
                int high = Character.digit(raw.charAt(i + 1), 16);
                int low = Character.digit(raw.charAt(i + 2), 16);
                if (high < 0 || low < 0) {
                    return null;
                }
                b = high * 16 + low;
                i += 2;
            }
            if (b < 0x20 || b == 0x7f || c > 0x7e || c == '#') {
                return null;
            }
            bytes.write(b);
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes.toByteArray()))
                    .toString();
        } catch (CharacterCodingException e) {
            return null;
        }
    }
}
