package dev.quire.model.tokenizer;

/**
 * Text to token ids and back. Ids from {@link #vocabSize} on, which a model whose embedding is padded may draw, stand for
 * nothing. Immutable; any thread.
 */
public interface Tokenizer {
    /** Number of ids, gaps included. */
    int vocabSize();

    /**
     * Ids of a text.
     *
     * @param addSpecial whether the model's beginning-of-sequence token and the like are added
     * @param parseSpecial whether the text of special tokens becomes those tokens (templates) or plain text
     * @param limit give up when more ids than this would come; the result then has more than {@code limit} ids. Keeps
     *     the cost of an oversized text bounded
     */
    int[] encode(CharSequence text, boolean addSpecial, boolean parseSpecial, int limit);

    /** The bytes of a token as they appear in text; for special tokens the bytes of their name. */
    byte[] bytes(int id);

    /** Whether the token is left out of the text by {@code skip_special_tokens}. */
    boolean isSpecial(int id);

    /** The token as the vocabulary writes it, for {@code return_token_strs}. */
    String piece(int id);

    /** Id of a token as the vocabulary writes it, or -1. */
    int idOf(String piece);

    /** Whether nothing was ever said about spaces: true when decoding drops the space that encoding put in front. */
    boolean stripsLeadingSpace();

    /** Beginning of sequence, or -1. */
    int bos();

    /** Tokens that end a generation. */
    int[] eos();
}
