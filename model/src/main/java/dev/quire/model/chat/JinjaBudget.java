package dev.quire.model.chat;

/** What one rendering may cost. One owner. */
final class JinjaBudget {
    /** Longest text, the output included. */
    static final int MAX_CHARS = 8 << 20;

    private static final int MAX_STEPS = 1_000_000;
    private static final int WORK_PER_ITEM = 8;
    private static final long MAX_WORK = 1L << 27;
    private static final int MAX_DEPTH = 300;

    private int steps;
    private long work;
    private int depth;

    /** One node evaluated, one item looked at. */
    void step() {
        if (++steps > MAX_STEPS) {
            throw new ChatTemplateException("the chat template takes more than " + MAX_STEPS + " steps");
        }
    }

    /** Characters or items made, or looked through by the dozen. */
    void work(long amount) {
        work += amount;
        if (work > MAX_WORK || amount < 0) {
            throw new ChatTemplateException("the chat template works on more than " + MAX_WORK + " characters");
        }
    }

    /** A text of so many characters is about to be made. */
    void text(long chars) {
        if (chars > MAX_CHARS) {
            throw new ChatTemplateException("the chat template makes a text longer than " + MAX_CHARS + " characters");
        }
        work(chars);
    }

    /** A list of so many items is about to be made. */
    void items(long count) {
        work(WORK_PER_ITEM * count);
    }

    /** A text is being made. */
    void growing(StringBuilder out) {
        if (out.length() > MAX_CHARS) {
            text(out.length());
        }
    }

    /** One text is searched for another. */
    void search(String text, String wanted) {
        work(text.length() / 16 + (long) text.length() * Math.min(text.length(), wanted.length()) / 64);
    }

    void enter() {
        if (++depth > MAX_DEPTH) {
            throw new ChatTemplateException("the chat template is nested more than " + MAX_DEPTH + " deep");
        }
    }

    void leave() {
        depth--;
    }
}
