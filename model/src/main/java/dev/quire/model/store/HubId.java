package dev.quire.model.store;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * {@code org/name[@revision][:file.gguf]}.
 *
 * @param repository {@code org/name}
 * @param revision branch, tag or commit; {@code main} when not given
 * @param file the one GGUF file wanted, or null
 */
record HubId(String repository, String revision, @Nullable String file) {
    private static final String PART = "[A-Za-z0-9][A-Za-z0-9._-]{0,95}";
    private static final Pattern FORM = Pattern.compile(
            "(" + PART + "/" + PART + ")(?:@([A-Za-z0-9][A-Za-z0-9._/-]{0,199}))?(?::(" + PART + "\\.gguf))?");
    private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

    /** Null when the text is not of this form. */
    static @Nullable HubId parse(String text) {
        Matcher matcher = FORM.matcher(text);
        if (!matcher.matches() || text.contains("..") || matcher.group(1).endsWith(".gguf")) {
            return null;
        }
        String revision = matcher.group(2);
        return new HubId(matcher.group(1), revision == null ? "main" : revision, matcher.group(3));
    }

    static boolean isCommit(String revision) {
        return COMMIT.matcher(revision).matches();
    }
}
