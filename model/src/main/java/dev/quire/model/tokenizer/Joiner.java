package dev.quire.model.tokenizer;

/** Makes pieces of the matches of a pattern and the gaps between them, which come in order. One owner. */
final class Joiner {
    private final PreTokenizer.Behavior behavior;
    private final String text;
    private final PreTokenizer.Sink sink;
    private int from;
    private int to;
    private boolean match;

    Joiner(PreTokenizer.Behavior behavior, String text, PreTokenizer.Sink sink) {
        this.behavior = behavior;
        this.text = text;
        this.sink = sink;
    }

    /** The next stretch, which may be empty; false when the sink wants no more. */
    boolean add(int start, int end, boolean isMatch) {
        if (start == end) {
            return true;
        }
        boolean open = to > from;
        boolean joins = open
                && switch (behavior) {
                    case REMOVED, ISOLATED -> false;
                    case CONTIGUOUS -> isMatch == match;
                    case MERGED_WITH_PREVIOUS -> isMatch && !match;
                    case MERGED_WITH_NEXT -> !isMatch && match;
                };
        if (joins) {
            to = end;
        } else {
            if (open && !sink.piece(text, from, to)) {
                return false;
            }
            boolean dropped = behavior == PreTokenizer.Behavior.REMOVED && isMatch;
            from = dropped ? end : start;
            to = end;
        }
        match = isMatch;
        return true;
    }

    /** No more stretches. */
    boolean end() {
        return to == from || sink.piece(text, from, to);
    }
}
