package dev.quire.model.tokenizer;

/**
 * Turns the ids of one sequence into text as they come, never splitting a character: bytes that begin one are held until
 * it is complete. Bytes that cannot be a character become U+FFFD. One per sequence; not thread safe.
 */
public final class Detokenizer {
    private final Tokenizer tokenizer;
    private final boolean skipSpecial;
    private final Utf8Stream utf8 = new Utf8Stream();
    private final StringBuilder text = new StringBuilder();
    private boolean dropSpace;

    /**
     * For ids that follow a prompt: a leading space is part of the text.
     *
     * @param skipSpecial whether special tokens leave no trace in the text
     */
    public Detokenizer(Tokenizer tokenizer, boolean skipSpecial) {
        this(tokenizer, skipSpecial, false);
    }

    private Detokenizer(Tokenizer tokenizer, boolean skipSpecial, boolean dropSpace) {
        this.tokenizer = tokenizer;
        this.skipSpecial = skipSpecial;
        this.dropSpace = dropSpace;
    }

    /**
     * The text of a whole sequence, without the space that {@linkplain Tokenizer#stripsLeadingSpace() some} tokenizers
     * put in front of every text.
     *
     * @throws IndexOutOfBoundsException when an id is outside the vocabulary
     */
    public static String decode(Tokenizer tokenizer, int[] ids, boolean skipSpecial) {
        Detokenizer whole = new Detokenizer(tokenizer, skipSpecial, tokenizer.stripsLeadingSpace());
        StringBuilder out = new StringBuilder(ids.length * 4);
        for (int id : ids) {
            whole.append(id, out);
        }
        whole.utf8.end(out);
        return out.toString();
    }

    /**
     * Takes the next id and returns the text that it completes, often the token's own, empty while a character is
     * unfinished.
     *
     * @throws IndexOutOfBoundsException when the id is outside the vocabulary
     */
    public String push(int id) {
        text.setLength(0);
        append(id, text);
        return text.toString();
    }

    /** Ends the sequence: U+FFFD if it stopped inside a character, else empty. */
    public String flush() {
        text.setLength(0);
        utf8.end(text);
        return text.toString();
    }

    private void append(int id, StringBuilder out) {
        if (skipSpecial && tokenizer.isSpecial(id)) {
            return;
        }
        int before = out.length();
        utf8.decode(tokenizer.bytes(id), out);
        if (dropSpace && out.length() > before) {
            dropSpace = false;
            if (out.charAt(before) == ' ') {
                out.deleteCharAt(before);
            }
        }
    }
}
