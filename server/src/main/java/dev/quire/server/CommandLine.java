package dev.quire.server;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The words of a command line by their flags: {@code --name value} or {@code --name=value}, {@code --a_b} for
 * {@code --a-b}, switches, and at most one word without a flag. What is wrong with one is an IllegalArgumentException
 * that says what is allowed. Written by hand because a library for it takes a quarter of the time to the first answer.
 */
final class CommandLine {
    private final List<Flag> flags;
    private final Map<String, List<String>> given = new HashMap<>();
    private @Nullable String lone;

    CommandLine(List<Flag> flags, String... words) {
        this.flags = flags;
        for (int i = 0; i < words.length; ) {
            i = take(words, i);
        }
    }

    /** Takes the flag at {@code at} and its values; returns where the next one begins. */
    private int take(String[] words, int at) {
        String word = words[at];
        if (!word.startsWith("-")) {
            if (lone != null) {
                throw unknown(word);
            }
            lone = word;
            return at + 1;
        }
        int equals = word.startsWith("--") ? word.indexOf('=') : -1;
        String name = (equals < 0 ? word : word.substring(0, equals)).replace('_', '-');
        @Nullable String value = equals < 0 ? null : word.substring(equals + 1);
        Flag flag = find(name);
        if (flag == null) {
            throw unknown(word);
        }
        if (flag.kind() == Flag.Kind.NOTHING) {
            if (value != null) {
                throw new IllegalArgumentException(name + " takes no value");
            }
            put(flag, List.of(Boolean.toString(!flag.canBeTurnedOff() || name.equals(flag.name()))));
            return at + 1;
        }
        int end = value == null ? endOfValues(words, at + 1, flag) : at + 1;
        put(flag, value == null ? Arrays.asList(words).subList(at + 1, end) : List.of(value));
        return end;
    }

    private int endOfValues(String[] words, int from, Flag flag) {
        int most = flag.kind() == Flag.Kind.ONE ? from + 1 : words.length;
        int end = from;
        while (end < Math.min(most, words.length) && !words[end].startsWith("--")) {
            end++;
        }
        if (end == from) {
            throw new IllegalArgumentException(flag.name() + " needs a value: " + flag.written());
        }
        return end;
    }

    private void put(Flag flag, List<String> values) {
        if (flag.kind() == Flag.Kind.MANY) {
            given.computeIfAbsent(flag.name(), name -> new ArrayList<>()).addAll(values);
        } else if (given.putIfAbsent(flag.name(), values) != null) {
            throw new IllegalArgumentException(flag.name() + " is given twice");
        }
    }

    private @Nullable Flag find(String name) {
        String full = name.equals("-h") ? "--help" : name;
        for (Flag flag : flags) {
            if (flag.name().equals(full) || (flag.canBeTurnedOff() && flag.off().equals(full))) {
                return flag;
            }
        }
        return null;
    }

    private IllegalArgumentException unknown(String word) {
        String name = word.split("=", 2)[0];
        String nearest = flags.stream()
                .flatMap(flag -> flag.canBeTurnedOff() ? Stream.of(flag.name(), flag.off()) : Stream.of(flag.name()))
                .min(Comparator.comparingInt(known -> editDistance(name, known)))
                .orElseThrow();
        return new IllegalArgumentException("unknown argument " + word + "; did you mean " + nearest + "?");
    }

    /** Levenshtein's distance: insertions, deletions and replacements that turn one text into the other. */
    private static int editDistance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replaced, Math.min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.length()];
    }

    /** The word without a flag, or null. */
    @Nullable
    String lone() {
        return lone;
    }

    /** The value of a flag, else its default. */
    String text(String name) {
        List<String> values = given.get(name);
        return values == null ? flag(name).fallback() : values.getFirst();
    }

    /** The value of a flag, or null when it is not given. */
    @Nullable
    String textOrNull(String name) {
        return given.containsKey(name) ? text(name) : null;
    }

    /** All values of a flag. */
    List<String> texts(String name) {
        return List.copyOf(given.getOrDefault(flag(name).name(), List.of()));
    }

    boolean isOn(String name) {
        return Boolean.parseBoolean(text(name));
    }

    @Nullable
    Path path(String name) {
        String value = textOrNull(name);
        return value == null ? null : Path.of(value);
    }

    /** One of the words allowed. */
    String oneOf(String name, String... allowed) {
        String value = text(name);
        if (!List.of(allowed).contains(value)) {
            throw new IllegalArgumentException(name + " is '" + value + "'; allowed: " + String.join(", ", allowed));
        }
        return value;
    }

    int integer(String name, int least, int most) {
        return (int) number(name, least, most);
    }

    /** The number given, else {@code otherwise}: for a flag whose default depends on others. */
    int integer(String name, int least, int most, int otherwise) {
        return given.containsKey(name) ? integer(name, least, most) : otherwise;
    }

    long number(String name, long least, long most) {
        String value = text(name);
        try {
            return within(name, Long.parseLong(value.strip()), least, most);
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(name + " is '" + value + "'; allowed: " + least + " to " + most, e);
        }
    }

    /** A number above 0 and at most 1. */
    double share(String name) {
        String value = text(name);
        try {
            double share = Double.parseDouble(value.strip());
            if (share > 0 && share <= 1) {
                return share;
            }
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(name + " is '" + value + "'; allowed: above 0 and at most 1", e);
        }
        throw new IllegalArgumentException(name + " is " + value + "; allowed: above 0 and at most 1");
    }

    /** Bytes of a number of GiB, which may have a fraction. */
    long gibibytes(String name) {
        String value = text(name);
        try {
            double gibibytes = Double.parseDouble(value.strip());
            if (gibibytes >= 0 && gibibytes <= 1 << 20) {
                return (long) (gibibytes * (1 << 30));
            }
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(name + " is '" + value + "'; allowed: a number of GiB, 0 or more", e);
        }
        throw new IllegalArgumentException(name + " is " + value + "; allowed: 0 to " + (1 << 20) + " GiB");
    }

    /** A size as {@link Sizes#bytes} reads it. */
    long bytes(String name, long least, long most) {
        return within(name, sized(name, Sizes::bytes), least, most);
    }

    /** A length as {@link Sizes#tokens} reads it. */
    int tokens(String name) {
        return sized(name, Sizes::tokens);
    }

    private <T> T sized(String name, Function<String, T> reader) {
        try {
            return reader.apply(text(name));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(name + ": " + e.getMessage(), e);
        }
    }

    private static long within(String name, long value, long least, long most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(name + " is " + value + "; allowed: " + least + " to " + most);
        }
        return value;
    }

    private Flag flag(String name) {
        Flag flag = find(name);
        if (flag == null) {
            throw new IllegalStateException("there is no flag " + name);
        }
        return flag;
    }
}
