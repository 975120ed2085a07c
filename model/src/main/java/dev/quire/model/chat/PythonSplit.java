package dev.quire.model.chat;

import dev.quire.model.chat.PythonValues.Tuple;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Texts cut as Python's methods cut them. */
final class PythonSplit {
    private PythonSplit() {}

    static List<Object> split(String s, JinjaArguments arguments, JinjaBudget budget) {
        long most = arguments.integer(1, "maxsplit", -1);
        if (arguments.get(0, "sep", PythonValues.NONE) == PythonValues.NONE) {
            return words(s, most, budget);
        }
        String separator = separator(arguments, s, budget);
        List<Object> parts = new ArrayList<>();
        int done = 0;
        for (int at = s.indexOf(separator); at >= 0 && parts.size() != most; at = s.indexOf(separator, done)) {
            budget.step();
            parts.add(s.substring(done, at));
            done = at + separator.length();
        }
        parts.add(s.substring(done));
        return parts;
    }

    static List<Object> rsplit(String s, JinjaArguments arguments, JinjaBudget budget) {
        long most = arguments.integer(1, "maxsplit", -1);
        if (arguments.get(0, "sep", PythonValues.NONE) == PythonValues.NONE) {
            if (most >= 0) {
                throw new ChatTemplateException("rsplit with maxsplit needs a separator");
            }
            return words(s, most, budget);
        }
        String separator = separator(arguments, s, budget);
        List<Object> parts = new ArrayList<>();
        int end = s.length();
        while (parts.size() != most) {
            int at = end < separator.length() ? -1 : s.lastIndexOf(separator, end - separator.length());
            if (at < 0) {
                break;
            }
            budget.step();
            parts.add(s.substring(at + separator.length(), end));
            end = at;
        }
        parts.add(s.substring(0, end));
        Collections.reverse(parts);
        return parts;
    }

    private static String separator(JinjaArguments arguments, String s, JinjaBudget budget) {
        String separator = arguments.text(0, "sep");
        if (separator.isEmpty()) {
            throw new ChatTemplateException("empty separator");
        }
        budget.search(s, separator);
        budget.text(s.length());
        return separator;
    }

    private static List<Object> words(String s, long most, JinjaBudget budget) {
        budget.text(s.length());
        List<Object> words = new ArrayList<>();
        int at = 0;
        while (true) {
            while (at < s.length() && PythonText.isSpace(s.charAt(at))) {
                at++;
            }
            if (at == s.length()) {
                return words;
            }
            budget.step();
            if (words.size() == most) {
                words.add(s.substring(at));
                return words;
            }
            int start = at;
            while (at < s.length() && !PythonText.isSpace(s.charAt(at))) {
                at++;
            }
            words.add(s.substring(start, at));
        }
    }

    static List<Object> lines(String s, boolean keepEnds, JinjaBudget budget) {
        budget.text(s.length());
        List<Object> lines = new ArrayList<>();
        int start = 0;
        for (int i = 0; i < s.length(); i++) {
            if (!isLineEnd(s.charAt(i))) {
                continue;
            }
            budget.step();
            int end = i;
            if (s.charAt(i) == '\r' && i + 1 < s.length() && s.charAt(i + 1) == '\n') {
                i++;
            }
            lines.add(s.substring(start, keepEnds ? i + 1 : end));
            start = i + 1;
        }
        if (start < s.length()) {
            lines.add(s.substring(start));
        }
        return lines;
    }

    private static boolean isLineEnd(char c) {
        return (c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    }

    static Tuple partition(String s, String method, String separator, JinjaBudget budget) {
        budget.search(s, separator);
        budget.text(s.length());
        boolean last = method.equals("rpartition");
        int at = last ? s.lastIndexOf(separator) : s.indexOf(separator);
        if (at < 0) {
            return last ? Tuple.of("", "", s) : Tuple.of(s, "", "");
        }
        return Tuple.of(s.substring(0, at), separator, s.substring(at + separator.length()));
    }
}
