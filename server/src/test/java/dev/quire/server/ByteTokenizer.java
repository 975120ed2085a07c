package dev.quire.server;

import dev.quire.model.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** A token per byte, and an end token: small, real, and reversible. */
final class ByteTokenizer implements Tokenizer {
    static final int EOS = 256;

    @Override
    public int vocabSize() {
        return 257;
    }

    @Override
    public int[] encode(CharSequence text, boolean addSpecial, boolean parseSpecial, int limit) {
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        int[] ids = new int[Math.min(bytes.length, limit + 1)];
        Arrays.setAll(ids, i -> bytes[i] & 0xff);
        return ids;
    }

    @Override
    public byte[] bytes(int id) {
        return id == EOS ? "<eos>".getBytes(StandardCharsets.UTF_8) : new byte[] {(byte) id};
    }

    @Override
    public boolean isSpecial(int id) {
        return id == EOS;
    }

    @Override
    public String piece(int id) {
        return new String(bytes(id), StandardCharsets.ISO_8859_1);
    }

    @Override
    public int idOf(String piece) {
        return piece.equals("<eos>") ? EOS : piece.length() == 1 && piece.charAt(0) < 256 ? piece.charAt(0) : -1;
    }

    @Override
    public boolean stripsLeadingSpace() {
        return false;
    }

    @Override
    public int bos() {
        return -1;
    }

    @Override
    public int[] eos() {
        return new int[] {EOS};
    }
}
