package dev.quire.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The table of flags in the documentation against what the program prints. */
class FlagsDocTest {
    private static final Pattern ROW = Pattern.compile("(?m)^\\| `(--[a-z-]+)` \\| (.*) \\|$");
    private static final Pattern FLAG = Pattern.compile("(?m)^ {2,6}(?:-\\w, )?(--(?:\\[no-])?[a-z][a-z-]*)");

    private static String withoutSpace(String text) {
        return text.replaceAll("\\s+", "");
    }

    @Test
    void theTableIsWhatTheProgramPrints() throws IOException {
        String usage = ((Flags.Parsed.Exit) Flags.parse(Map.of(), "--help")).text();
        Map<String, String> table = new LinkedHashMap<>();
        Matcher rows = ROW.matcher(Files.readString(Path.of("../docs/flags.md")));
        while (rows.find()) {
            table.put(rows.group(1), rows.group(2));
        }
        assertThat(table.keySet())
                .containsExactlyElementsOf(FLAG.matcher(usage)
                        .results()
                        .map(r -> r.group(1).replace("[no-]", ""))
                        .collect(Collectors.toCollection(LinkedHashSet::new)));
        String dense = withoutSpace(usage);
        assertThat(table.values()).allSatisfy(meaning -> assertThat(dense).contains(withoutSpace(meaning)));
    }
}
