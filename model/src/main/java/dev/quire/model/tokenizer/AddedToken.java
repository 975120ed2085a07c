package dev.quire.model.tokenizer;

/**
 * A token found in the text before anything else is done to it.
 *
 * @param special found only when special tokens are to be parsed
 * @param normalized found in the normalized text, its own text normalized too
 * @param leftStrip takes the white space before it
 * @param rightStrip takes the white space after it
 * @param singleWord not found inside a word
 */
record AddedToken(
        String text,
        int id,
        boolean special,
        boolean normalized,
        boolean leftStrip,
        boolean rightStrip,
        boolean singleWord) {
    /** A token matched exactly as it is written. */
    static AddedToken exact(String text, int id, boolean special) {
        return new AddedToken(text, id, special, false, false, false, false);
    }
}
