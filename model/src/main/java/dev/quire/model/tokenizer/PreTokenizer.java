package dev.quire.model.tokenizer;

import java.util.List;
import java.util.regex.Matcher;

/** Cuts text into the pieces inside which merging happens. Immutable; any thread. */
sealed interface PreTokenizer {
    /** Takes the pieces in order; returns false when no more are wanted. */
    interface Sink {
        boolean piece(String text, int from, int to);
    }

    /** What becomes of the matches of a pattern. */
    enum Behavior {
        REMOVED,
        ISOLATED,
        MERGED_WITH_PREVIOUS,
        MERGED_WITH_NEXT,
        CONTIGUOUS
    }

    /**
     * Cuts text[from, to), never looking outside.
     *
     * @param first whether the text before it is empty
     * @return false when the sink wanted no more
     */
    boolean split(String text, int from, int to, boolean first, Sink sink);

    /** The text is one piece. */
    record Whole() implements PreTokenizer {
        @Override
        public boolean split(String text, int from, int to, boolean first, Sink sink) {
            return from == to || sink.piece(text, from, to);
        }
    }

    /** Each stage cuts the pieces of the one before. */
    record Chain(List<PreTokenizer> stages) implements PreTokenizer {
        public Chain {
            stages = List.copyOf(stages);
        }

        @Override
        public boolean split(String text, int from, int to, boolean first, Sink sink) {
            return from == to || stage(0, text, from, to, first, sink);
        }

        private boolean stage(int index, String text, int from, int to, boolean first, Sink sink) {
            if (index == stages.size()) {
                return sink.piece(text, from, to);
            }
            return stages.get(index)
                    .split(text, from, to, first, (t, f, e) -> stage(index + 1, t, f, e, first && f == from, sink));
        }
    }

    /**
     * Cuts at the matches of a pattern.
     *
     * @param inverted the text between the matches counts as matches and they do not
     */
    record Split(SplitPattern pattern, Behavior behavior, boolean inverted) implements PreTokenizer {
        @Override
        public boolean split(String text, int from, int to, boolean first, Sink sink) {
            Matcher matcher = pattern.matcher(text, from, to);
            Joiner joiner = new Joiner(behavior, text, sink);
            int done = from;
            while (pattern.find(matcher)) {
                if (matcher.end() == matcher.start()) {
                    continue;
                }
                if (!joiner.add(done, matcher.start(), inverted)
                        || !joiner.add(matcher.start(), matcher.end(), !inverted)) {
                    return false;
                }
                done = matcher.end();
            }
            return joiner.add(done, to, inverted) && joiner.end();
        }
    }

    /** Puts a space before a piece that does not begin with one. */
    record SpacePrefix() implements PreTokenizer {
        @Override
        public boolean split(String text, int from, int to, boolean first, Sink sink) {
            if (from == to || text.charAt(from) == ' ') {
                return from == to || sink.piece(text, from, to);
            }
            return sink.piece(" " + text.substring(from, to), 0, to - from + 1);
        }
    }

    /** Writes the text as a byte-level vocabulary does, for stages that cut what is written so. */
    record WriteBytes() implements PreTokenizer {
        @Override
        public boolean split(String text, int from, int to, boolean first, Sink sink) {
            String written = ByteAlphabet.written(text.substring(from, to));
            return sink.piece(written, 0, written.length());
        }
    }

    /**
     * Writes spaces as another character, as SentencePiece does.
     *
     * @param replacement what stands for a space
     * @param prefix when a space is put in front
     * @param cut whether words are pieces of their own
     */
    record Metaspace(char replacement, Prefix prefix, boolean cut) implements PreTokenizer {
        /** When a text that begins without a space gets one. */
        enum Prefix {
            ALWAYS,
            FIRST,
            NEVER
        }

        @Override
        public boolean split(String text, int from, int to, boolean first, Sink sink) {
            String written = text.substring(from, to).replace(' ', replacement);
            boolean wanted = prefix == Prefix.ALWAYS || (prefix == Prefix.FIRST && first);
            if (wanted && !written.isEmpty() && written.charAt(0) != replacement) {
                written = replacement + written;
            }
            return cut ? words(written, sink) : written.isEmpty() || sink.piece(written, 0, written.length());
        }

        private boolean words(String written, Sink sink) {
            int start = 0;
            for (int i = 1; i < written.length(); i++) {
                if (written.charAt(i) == replacement) {
                    if (!sink.piece(written, start, i)) {
                        return false;
                    }
                    start = i;
                }
            }
            return start == written.length() || sink.piece(written, start, written.length());
        }
    }

    /** Cuts before each run of a character that marks word beginnings. */
    record WordStarts(char mark) implements PreTokenizer {
        @Override
        public boolean split(String text, int from, int to, boolean first, Sink sink) {
            int start = from;
            for (int i = from + 1; i < to; i++) {
                if (text.charAt(i) == mark && text.charAt(i - 1) != mark) {
                    if (!sink.piece(text, start, i)) {
                        return false;
                    }
                    start = i;
                }
            }
            return start == to || sink.piece(text, start, to);
        }
    }
}
