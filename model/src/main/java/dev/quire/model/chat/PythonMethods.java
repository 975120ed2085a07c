package dev.quire.model.chat;

import dev.quire.model.chat.PythonValues.Tuple;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The methods that templates may call on texts, lists and dicts; there are no others. */
final class PythonMethods {
    private static final Set<String> TEXT = Set.of(
            "strip",
            "lstrip",
            "rstrip",
            "split",
            "rsplit",
            "splitlines",
            "startswith",
            "endswith",
            "upper",
            "lower",
            "title",
            "capitalize",
            "replace",
            "find",
            "rfind",
            "index",
            "count",
            "join",
            "format",
            "isdigit",
            "isalpha",
            "isalnum",
            "isspace",
            "isupper",
            "islower",
            "isnumeric",
            "isdecimal",
            "removeprefix",
            "removesuffix",
            "zfill",
            "ljust",
            "rjust",
            "center",
            "partition",
            "rpartition");
    private static final String RAISED_DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉";
    private static final Set<String> DICT = Set.of("items", "keys", "values", "get", "copy");
    private static final Set<String> LIST = Set.of("index", "count", "copy");
    private static final Set<String> CHANGING = Set.of(
            "append",
            "extend",
            "insert",
            "remove",
            "pop",
            "clear",
            "sort",
            "reverse",
            "update",
            "setdefault",
            "popitem");

    private PythonMethods() {}

    /** The method as a function, or null when the value has none of that name. */
    static PythonValues.@Nullable Function method(Object value, String name, JinjaBudget budget) {
        return switch (value) {
            case String s when TEXT.contains(name) -> arguments -> text(s, name, arguments, budget);
            case Map<?, ?> map
            when DICT.contains(name) -> arguments -> dict(PythonValues.dict(map), name, arguments, budget);
            case List<?> list
            when LIST.contains(name) && !(list instanceof Tuple && name.equals("copy")) ->
                arguments -> list(list, name, arguments, budget);
            default -> null;
        };
    }

    /** Whether Python has a method of that name that changes the value, which templates may not. */
    static boolean isChanging(Object value, String name) {
        return CHANGING.contains(name) && (value instanceof List<?> || value instanceof Map<?, ?>);
    }

    private static Object dict(Map<Object, Object> map, String name, JinjaArguments arguments, JinjaBudget budget) {
        if (!name.equals("get")) {
            budget.items(map.size());
        }
        return switch (name) {
            case "items" -> view("dict_items", pairs(map));
            case "keys" -> view("dict_keys", new ArrayList<>(map.keySet()));
            case "values" -> view("dict_values", new ArrayList<>(map.values()));
            case "copy" -> new LinkedHashMap<>(map);
            default -> {
                Object value = PythonValues.find(map, arguments.require(0, "key"));
                yield value == null ? arguments.get(1, "default", PythonValues.NONE) : value;
            }
        };
    }

    static List<Object> pairs(Map<Object, Object> map) {
        List<Object> pairs = new ArrayList<>(map.size());
        map.forEach((key, value) -> pairs.add(Tuple.of(key, value)));
        return pairs;
    }

    private static Object view(String type, List<Object> items) {
        return new PythonValues.View(type, type, items);
    }

    private static Object list(List<?> list, String name, JinjaArguments arguments, JinjaBudget budget) {
        if (name.equals("copy")) {
            budget.items(list.size());
            return new ArrayList<Object>(list);
        }
        Object wanted = arguments.require(0, "value");
        long count = 0;
        for (int i = 0; i < list.size(); i++) {
            if (PythonValues.areEqual(list.get(i), wanted, budget)) {
                if (name.equals("index")) {
                    return (long) i;
                }
                count++;
            }
        }
        if (name.equals("index")) {
            throw new ChatTemplateException("the value is not in the list");
        }
        return count;
    }

    private static Object text(String s, String name, JinjaArguments arguments, JinjaBudget budget) {
        budget.work(s.length() / 8);
        return switch (name) {
            case "strip" -> strip(s, arguments, true, true);
            case "lstrip" -> strip(s, arguments, true, false);
            case "rstrip" -> strip(s, arguments, false, true);
            case "split" -> PythonSplit.split(s, arguments, budget);
            case "rsplit" -> PythonSplit.rsplit(s, arguments, budget);
            case "splitlines" -> PythonSplit.lines(s, arguments.flag(0, "keepends", false), budget);
            case "partition", "rpartition" -> PythonSplit.partition(s, name, arguments.text(0, "sep"), budget);
            case "startswith", "endswith" -> affix(s, name, arguments.require(0, "prefix"));
            case "removeprefix" -> {
                String prefix = arguments.text(0, "prefix");
                yield s.startsWith(prefix) ? s.substring(prefix.length()) : s;
            }
            case "removesuffix" -> {
                String suffix = arguments.text(0, "suffix");
                yield s.endsWith(suffix) ? s.substring(0, s.length() - suffix.length()) : s;
            }
            case "upper", "lower", "title", "capitalize" -> cased(s, name, budget);
            case "replace" -> replace(s, arguments, budget);
            case "find", "rfind", "index", "count" -> search(s, name, arguments.text(0, "sub"), budget);
            case "join" -> join(s, PythonValues.items(arguments.require(0, "iterable"), budget), budget);
            case "format" -> PythonFormat.braces(s, arguments, budget);
            case "zfill", "ljust", "rjust", "center" -> padded(s, name, arguments, budget);
            default -> is(s, name);
        };
    }

    private static String strip(String s, JinjaArguments arguments, boolean left, boolean right) {
        Object characters = arguments.get(0, "chars", PythonValues.NONE);
        return characters == PythonValues.NONE
                ? PythonText.strip(s, left, right)
                : PythonText.strip(s, arguments.text(0, "chars"), left, right);
    }

    private static boolean affix(String s, String name, Object wanted) {
        List<?> options = wanted instanceof Tuple tuple ? tuple : List.of(wanted);
        for (Object option : options) {
            if (!(option instanceof String affix)) {
                throw new ChatTemplateException(
                        name + " first arg must be str or a tuple of str, not " + PythonValues.typeName(option));
            }
            if (name.equals("startswith") ? s.startsWith(affix) : s.endsWith(affix)) {
                return true;
            }
        }
        return false;
    }

    static String cased(String s, String name, JinjaBudget budget) {
        budget.text(s.length());
        return switch (name) {
            case "upper" -> s.toUpperCase(Locale.ROOT);
            case "lower" -> s.toLowerCase(Locale.ROOT);
            case "capitalize" -> capitalized(s);
            default -> titled(s);
        };
    }

    private static String capitalized(String s) {
        if (s.isEmpty()) {
            return s;
        }
        int first = Character.charCount(s.codePointAt(0));
        return upperFirst(s.substring(0, first)) + s.substring(first).toLowerCase(Locale.ROOT);
    }

    private static String upperFirst(String character) {
        int title = Character.toTitleCase(character.codePointAt(0));
        return title != character.codePointAt(0) ? Character.toString(title) : character.toUpperCase(Locale.ROOT);
    }

    private static String titled(String s) {
        StringBuilder out = new StringBuilder(s.length());
        boolean inWord = false;
        for (int i = 0; i < s.length(); ) {
            int codePoint = s.codePointAt(i);
            String character = Character.toString(codePoint);
            out.append(inWord ? character.toLowerCase(Locale.ROOT) : upperFirst(character));
            inWord = Character.isUpperCase(codePoint)
                    || Character.isLowerCase(codePoint)
                    || Character.isTitleCase(codePoint);
            i += character.length();
        }
        return out.toString();
    }

    private static String replace(String s, JinjaArguments arguments, JinjaBudget budget) {
        return replaced(
                s, arguments.text(0, "old"), arguments.text(1, "new"), arguments.integer(2, "count", -1), budget);
    }

    /** @param count how many at most; negative is all */
    static String replaced(String s, String old, String with, long count, JinjaBudget budget) {
        budget.search(s, old);
        StringBuilder out = new StringBuilder(s.length());
        int done = 0;
        int at = s.indexOf(old);
        for (long left = count; at >= 0 && left != 0; left--) {
            out.append(s, done, at).append(with);
            budget.work(1 + with.length());
            budget.growing(out);
            done = at + old.length();
            int from = old.isEmpty() ? done + 1 : done;
            if (old.isEmpty() && done < s.length()) {
                out.appendCodePoint(s.codePointAt(done));
                done += Character.charCount(s.codePointAt(done));
            }
            at = from > s.length() ? -1 : s.indexOf(old, Math.max(from, done));
        }
        budget.text(out.length() + (long) s.length() - done);
        return out.append(s, Math.min(done, s.length()), s.length()).toString();
    }

    private static long search(String s, String name, String wanted, JinjaBudget budget) {
        budget.search(s, wanted);
        if (name.equals("count")) {
            long count = wanted.isEmpty() ? s.codePointCount(0, s.length()) + 1L : 0;
            for (int at = wanted.isEmpty() ? -1 : s.indexOf(wanted);
                    at >= 0;
                    at = s.indexOf(wanted, at + wanted.length())) {
                count++;
            }
            return count;
        }
        int at = name.equals("rfind") ? s.lastIndexOf(wanted) : s.indexOf(wanted);
        if (at < 0 && name.equals("index")) {
            throw new ChatTemplateException("substring not found");
        }
        return at < 0 ? -1 : s.codePointCount(0, at);
    }

    private static String join(String separator, List<Object> items, JinjaBudget budget) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < items.size(); i++) {
            if (!(items.get(i) instanceof String item)) {
                throw new ChatTemplateException("sequence item " + i + ": expected str instance, "
                        + PythonValues.typeName(items.get(i)) + " found");
            }
            budget.step();
            budget.text(item.length() + (long) separator.length());
            out.append(i == 0 ? "" : separator).append(item);
            budget.growing(out);
        }
        budget.text(out.length());
        return out.toString();
    }

    private static String padded(String s, String name, JinjaArguments arguments, JinjaBudget budget) {
        long width = arguments.integer(0, "width", 0);
        budget.text(Math.max(0, width));
        int missing = (int) Math.max(0, width - s.codePointCount(0, s.length()));
        String fill = name.equals("zfill") ? "0" : arguments.text(1, "fillchar", " ");
        if (fill.length() != 1) {
            throw new ChatTemplateException(name + ": the fill character must be exactly one character");
        }
        String padding = fill.repeat(missing);
        int left = missing / 2 + (missing & (int) width & 1);
        return switch (name) {
            case "ljust" -> s + padding;
            case "rjust" -> padding + s;
            case "center" -> fill.repeat(left) + s + fill.repeat(missing - left);
            default -> s.startsWith("-") || s.startsWith("+") ? s.charAt(0) + padding + s.substring(1) : padding + s;
        };
    }

    static boolean is(String s, String name) {
        return switch (name) {
            case "isupper" -> hasCase(s) && s.codePoints().noneMatch(Character::isLowerCase);
            case "islower" -> hasCase(s) && s.codePoints().noneMatch(Character::isUpperCase);
            default -> !s.isEmpty() && s.codePoints().allMatch(c -> is(c, name));
        };
    }

    private static boolean hasCase(String s) {
        return s.codePoints().anyMatch(c -> Character.isUpperCase(c) || Character.isLowerCase(c));
    }

    private static boolean is(int c, String name) {
        return switch (name) {
            case "isspace" -> PythonText.isSpace(c);
            case "isalpha" -> Character.isLetter(c);
            case "isalnum" -> Character.isLetterOrDigit(c) || isNumeric(c);
            case "isnumeric" -> isNumeric(c);
            case "isdigit" -> Character.isDigit(c) || RAISED_DIGITS.indexOf(c) >= 0;
            default -> Character.isDigit(c);
        };
    }

    private static boolean isNumeric(int c) {
        int type = Character.getType(c);
        return type == Character.DECIMAL_DIGIT_NUMBER
                || type == Character.LETTER_NUMBER
                || type == Character.OTHER_NUMBER;
    }
}
