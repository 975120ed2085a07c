package dev.quire.model.tokenizer;

import java.text.Normalizer;
import java.util.List;

/** Rewrites text before it is cut. Immutable; any thread. */
@FunctionalInterface
interface TextNormalizer {
    TextNormalizer NONE = text -> text;

    /** Reordering a run of combining marks takes quadratic time; a run longer than this is nobody's language. */
    int LONGEST_RUN_OF_MARKS = 256;

    String apply(String text);

    /** One after the other. */
    static TextNormalizer chain(List<TextNormalizer> stages) {
        return text -> {
            String rewritten = text;
            for (TextNormalizer stage : stages) {
                rewritten = stage.apply(rewritten);
            }
            return rewritten;
        };
    }

    /** A form of the Unicode standard; runs of combining marks beyond any use stay as they are. */
    static TextNormalizer unicode(Normalizer.Form form) {
        return text -> Normalizer.isNormalized(text, form) ? text : normalized(text, form);
    }

    private static String normalized(String text, Normalizer.Form form) {
        StringBuilder out = new StringBuilder(text.length());
        int done = 0;
        int run = 0;
        for (int i = 0; i < text.length(); ) {
            int codePoint = text.codePointAt(i);
            if (isMark(codePoint)) {
                run++;
            } else {
                if (run > LONGEST_RUN_OF_MARKS) {
                    int marks = text.offsetByCodePoints(i, -run);
                    out.append(Normalizer.normalize(text.substring(done, marks), form))
                            .append(text, marks, i);
                    done = i;
                }
                run = 0;
            }
            i += Character.charCount(codePoint);
        }
        int marks = run > LONGEST_RUN_OF_MARKS ? text.offsetByCodePoints(text.length(), -run) : text.length();
        out.append(Normalizer.normalize(text.substring(done, marks), form)).append(text, marks, text.length());
        return out.toString();
    }

    private static boolean isMark(int codePoint) {
        int type = Character.getType(codePoint);
        return type == Character.NON_SPACING_MARK
                || type == Character.ENCLOSING_MARK
                || type == Character.COMBINING_SPACING_MARK;
    }
}
