package dev.quire.model.chat;

import dev.quire.model.chat.JinjaToken.Kind;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Cuts a template into tokens, with white space trimmed as chat templates expect: the newline after a block is dropped,
 * and so is what stands before a block on its line when that is white space.
 */
final class JinjaLexer {
    private static final String SPACE = "[\\s\\p{Z}\\x1C-\\x1F\\x85]";
    private static final Pattern RAW_BEGIN =
            Pattern.compile("\\{%[-+]?" + SPACE + "*raw" + SPACE + "*(?:-%}" + SPACE + "*+|%})");
    private static final Pattern RAW_END =
            Pattern.compile("\\{%([-+]?)" + SPACE + "*endraw" + SPACE + "*(?:\\+%}|-%}" + SPACE + "*+|%}\\n?)");
    private static final Pattern FLOAT =
            Pattern.compile("(?:\\d+_)*+\\d+(?:\\.(?:\\d+_)*+\\d++(?:[eE][+-]?\\d++)?|[eE][+-]?\\d++)");
    private static final Pattern INTEGER = Pattern.compile(
            "0[bB](?:_?[01])++|0[oO](?:_?[0-7])++|0[xX](?:_?[0-9a-fA-F])++|[1-9](?:_?\\d)*+|0(?:_?0)*+");
    private static final List<String> OPERATORS = List.of("**", "//", "==", "!=", ">=", "<=");
    private static final int MAX_NUMBER = 100;
    private static final String SINGLE = "+-/*%~[](){}><=.:|,;";

    private final String source;
    private final List<JinjaToken> tokens = new ArrayList<>();
    private int at;
    private int line = 1;
    private int counted;
    private boolean lineStarting = true;

    private JinjaLexer(String source) {
        String normalized = source.replace("\r\n", "\n").replace('\r', '\n');
        this.source = normalized.endsWith("\n") ? normalized.substring(0, normalized.length() - 1) : normalized;
    }

    /** @throws ChatTemplateException when the text is not a template */
    static List<JinjaToken> tokens(String source) {
        JinjaLexer lexer = new JinjaLexer(source);
        lexer.run();
        return lexer.tokens;
    }

    private void run() {
        while (at < source.length()) {
            int tag = nextTag(at);
            text(at, tag);
            at = tag;
            if (tag < source.length()) {
                tag();
            }
        }
        add(Kind.END, "", "");
    }

    private int nextTag(int from) {
        for (int i = source.indexOf('{', from); i >= 0 && i + 1 < source.length(); i = source.indexOf('{', i + 1)) {
            char c = source.charAt(i + 1);
            if (c == '{' || c == '%' || c == '#') {
                return i;
            }
        }
        return source.length();
    }

    /** The text before a tag, less what the tag's sign or kind takes away. */
    private void text(int from, int to) {
        int end = to;
        if (to < source.length()) {
            char sign = to + 2 < source.length() ? source.charAt(to + 2) : ' ';
            if (sign == '-') {
                while (end > from && PythonText.isSpace(source.charAt(end - 1))) {
                    end--;
                }
            } else if (sign != '+' && source.charAt(to + 1) != '{') {
                end = lineIndent(from, to);
            }
        }
        if (end > from) {
            add(Kind.TEXT, source.substring(from, end), "");
        }
    }

    private int lineIndent(int from, int to) {
        int begin = to;
        while (begin > from && source.charAt(begin - 1) != '\n' && PythonText.isSpace(source.charAt(begin - 1))) {
            begin--;
        }
        boolean wholeLine = begin > from ? source.charAt(begin - 1) == '\n' : lineStarting;
        return wholeLine ? begin : to;
    }

    private void tag() {
        Matcher raw = RAW_BEGIN.matcher(source).region(at, source.length());
        if (raw.lookingAt()) {
            at = raw.end();
            raw();
            return;
        }
        char kind = source.charAt(at + 1);
        at += 2;
        if (at < source.length() && (source.charAt(at) == '-' || source.charAt(at) == '+')) {
            at++;
        }
        switch (kind) {
            case '#' -> comment();
            case '%' -> {
                add(Kind.BLOCK_BEGIN, "{%", "");
                inside("%}", Kind.BLOCK_END);
            }
            default -> {
                add(Kind.OUTPUT_BEGIN, "{{", "");
                inside("}}", Kind.OUTPUT_END);
            }
        }
    }

    private void raw() {
        Matcher end = RAW_END.matcher(source);
        if (!end.find(at)) {
            throw wrong("Missing end of raw directive");
        }
        int stop = end.start();
        String sign = end.group(1);
        if (sign.equals("-")) {
            while (stop > at && PythonText.isSpace(source.charAt(stop - 1))) {
                stop--;
            }
        } else if (sign.isEmpty()) {
            stop = lineIndent(at, stop);
        }
        if (stop > at) {
            add(Kind.TEXT, source.substring(at, stop), "");
        }
        at = end.end();
        lineStarting = source.charAt(at - 1) == '\n';
    }

    private void comment() {
        int end = source.indexOf("#}", at);
        if (end < 0) {
            throw wrong("Missing end of comment tag");
        }
        char sign = end > at ? source.charAt(end - 1) : ' ';
        at = end + 2;
        closeTag(sign, true);
    }

    private void closeTag(char sign, boolean trimsNewline) {
        if (sign == '-') {
            while (at < source.length() && PythonText.isSpace(source.charAt(at))) {
                at++;
            }
        } else if (sign != '+' && trimsNewline && at < source.length() && source.charAt(at) == '\n') {
            at++;
        }
        lineStarting = source.charAt(at - 1) == '\n';
    }

    private void inside(String close, Kind closeKind) {
        Deque<Character> open = new ArrayDeque<>();
        while (true) {
            while (at < source.length() && PythonText.isSpace(source.charAt(at))) {
                at++;
            }
            if (at == source.length()) {
                throw wrong("unexpected end of template, expected '" + close + "'");
            }
            char c = source.charAt(at);
            boolean signed = (c == '-' || (c == '+' && close.equals("%}"))) && source.startsWith(close, at + 1);
            if (open.isEmpty() && (signed || source.startsWith(close, at))) {
                add(closeKind, close, "");
                at += close.length() + (signed ? 1 : 0);
                closeTag(signed ? c : ' ', close.equals("%}"));
                return;
            }
            token(c, open);
        }
    }

    private void token(char c, Deque<Character> open) {
        if (c == '"' || c == '\'') {
            string(c);
        } else if (c >= '0' && c <= '9') {
            number();
        } else if (Character.isUnicodeIdentifierStart(source.codePointAt(at)) || c == '_') {
            int start = at;
            while (at < source.length()
                    && (Character.isUnicodeIdentifierPart(source.charAt(at)) || source.charAt(at) == '_')) {
                at++;
            }
            add(Kind.NAME, source.substring(start, at), "");
        } else {
            operator(c, open);
        }
    }

    private void operator(char c, Deque<Character> open) {
        for (String operator : OPERATORS) {
            if (source.startsWith(operator, at)) {
                add(Kind.OPERATOR, operator, "");
                at += operator.length();
                return;
            }
        }
        if (SINGLE.indexOf(c) < 0) {
            throw wrong("unexpected char '" + c + "'");
        }
        switch (c) {
            case '(' -> open.push(')');
            case '[' -> open.push(']');
            case '{' -> open.push('}');
            case ')', ']', '}' -> {
                if (open.isEmpty() || open.pop() != c) {
                    throw wrong("unexpected '" + c + "'");
                }
            }
            default -> {
                // The others do not nest.
            }
        }
        add(Kind.OPERATOR, String.valueOf(c), "");
        at++;
    }

    private void number() {
        int end = Math.min(source.length(), at + MAX_NUMBER); // java.util.regex recurses over the groups of digits
        Matcher real = FLOAT.matcher(source).region(at, end);
        if (source.charAt(at - 1) != '.' && real.lookingAt() && real.end() < at + MAX_NUMBER) {
            add(Kind.NUMBER, real.group(), Double.parseDouble(real.group().replace("_", "")));
            at = real.end();
            return;
        }
        Matcher integer = INTEGER.matcher(source).region(at, end);
        if (!integer.lookingAt()) {
            throw wrong("unexpected char '" + source.charAt(at) + "'");
        }
        if (integer.end() == at + MAX_NUMBER) {
            throw wrong("a number of more than " + MAX_NUMBER + " digits");
        }
        add(Kind.NUMBER, integer.group(), integer(integer.group().replace("_", "")));
        at = integer.end();
    }

    private long integer(String digits) {
        try {
            int radix = digits.length() < 2
                    ? 10
                    : switch (Character.toLowerCase(digits.charAt(1))) {
                        case 'b' -> 2;
                        case 'o' -> 8;
                        case 'x' -> 16;
                        default -> 10;
                    };
            return Long.parseLong(radix == 10 ? digits : digits.substring(2), radix);
        } catch (NumberFormatException _) {
            throw wrong("the number " + digits + " is too large");
        }
    }

    private void string(char quote) {
        int start = at + 1;
        int end = start;
        while (end < source.length() && source.charAt(end) != quote) {
            end += source.charAt(end) == '\\' ? 2 : 1;
        }
        if (end >= source.length()) {
            throw wrong("unexpected char '" + quote + "'");
        }
        String literal = source.substring(start, end);
        String value = literal.indexOf('\\') < 0 ? literal : unescaped(literal);
        add(Kind.STRING, value, value);
        at = end + 1;
    }

    private String unescaped(String literal) {
        StringBuilder out = new StringBuilder(literal.length());
        for (int i = 0; i < literal.length(); i++) {
            char c = literal.charAt(i);
            if (c != '\\') {
                out.append(c);
                continue;
            }
            char escape = literal.charAt(++i);
            switch (escape) {
                case 'n' -> out.append('\n');
                case 't' -> out.append('\t');
                case 'r' -> out.append('\r');
                case 'a' -> out.append('\u0007');
                case 'b' -> out.append('\b');
                case 'f' -> out.append('\f');
                case 'v' -> out.append('\u000B');
                case '\\', '\'', '"' -> out.append(escape);
                case '\n' -> {
                    // A line goes on.
                }
                case 'N' -> throw wrong("characters by name are not supported");
                case 'x' -> i = hex(literal, i, 2, out);
                case 'u' -> i = hex(literal, i, 4, out);
                case 'U' -> i = hex(literal, i, 8, out);
                case '0', '1', '2', '3', '4', '5', '6', '7' -> i = octal(literal, i, out);
                default -> out.append('\\').append(escape);
            }
        }
        return out.toString();
    }

    private int hex(String literal, int at, int digits, StringBuilder out) {
        int end = at + 1 + digits;
        try {
            int codePoint = Integer.parseInt(literal.substring(at + 1, end), 16);
            out.appendCodePoint(codePoint);
        } catch (IndexOutOfBoundsException | IllegalArgumentException _) {
            throw wrong("truncated or illegal escape in '" + literal + "'");
        }
        return end - 1;
    }

    private static int octal(String literal, int at, StringBuilder out) {
        int end = at;
        int value = 0;
        while (end < literal.length() && end < at + 3 && literal.charAt(end) >= '0' && literal.charAt(end) <= '7') {
            value = 8 * value + literal.charAt(end++) - '0';
        }
        out.appendCodePoint(value);
        return end - 1;
    }

    private void add(Kind kind, String text, Object value) {
        tokens.add(new JinjaToken(kind, text, value, line()));
    }

    private int line() {
        for (; counted < at; counted++) {
            if (source.charAt(counted) == '\n') {
                line++;
            }
        }
        return line;
    }

    private ChatTemplateException wrong(String problem) {
        return new ChatTemplateException("chat template, line " + line() + ": " + problem);
    }
}
