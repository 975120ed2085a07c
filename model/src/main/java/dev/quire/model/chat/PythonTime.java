package dev.quire.model.chat;

import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

/** Dates as Python's {@code strftime} writes them, in English. */
final class PythonTime {
    private PythonTime() {}

    /** @throws ChatTemplateException when the format has a directive that is not supported */
    static String format(ZonedDateTime time, String format) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            if (format.charAt(i) != '%' || i + 1 == format.length()) {
                out.append(format.charAt(i));
                continue;
            }
            boolean unpadded = format.charAt(i + 1) == '-' && i + 2 < format.length();
            i += unpadded ? 2 : 1;
            String text = directive(time, format.charAt(i));
            boolean zero = unpadded && text.length() > 1 && text.startsWith("0");
            out.append(zero ? text.replaceFirst("^0+(?=.)", "") : text);
        }
        return out.toString();
    }

    private static String directive(ZonedDateTime time, char directive) {
        String pattern = switch (directive) {
            case 'a' -> "EEE";
            case 'A' -> "EEEE";
            case 'b', 'h' -> "MMM";
            case 'B' -> "MMMM";
            case 'c' -> "EEE MMM ppd HH:mm:ss yyyy";
            case 'd' -> "dd";
            case 'D', 'x' -> "MM/dd/yy";
            case 'e' -> "ppd";
            case 'F' -> "yyyy-MM-dd";
            case 'H' -> "HH";
            case 'I' -> "hh";
            case 'j' -> "DDD";
            case 'm' -> "MM";
            case 'M' -> "mm";
            case 'n' -> "'\n'";
            case 'p' -> "a";
            case 'R' -> "HH:mm";
            case 'S' -> "ss";
            case 't' -> "'\t'";
            case 'T', 'X' -> "HH:mm:ss";
            case 'u' -> "e";
            case 'y' -> "yy";
            case 'Y' -> "yyyy";
            case '%' -> "'%'";
            default -> throw new ChatTemplateException("strftime: %" + directive + " is not supported");
        };
        // In English weeks begin on Monday only outside America.
        return DateTimeFormatter.ofPattern(pattern, directive == 'u' ? Locale.UK : Locale.US)
                .format(time);
    }
}
