package dev.quire.model.tokenizer;

import java.nio.charset.StandardCharsets;

/** A fake tokenizer: ids 0 to 255 are the bytes, then come pieces of the test's own; the last one is special. */
record ByteVocabulary(boolean stripsLeadingSpace, String... pieces) implements Tokenizer {
    @Override
    public int vocabSize() {
        return 256 + pieces.length;
    }

    @Override
    public int[] encode(CharSequence text, boolean addSpecial, boolean parseSpecial, int limit) {
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        int[] ids = new int[bytes.length];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = bytes[i] & 0xFF;
        }
        return ids;
    }

    @Override
    public byte[] bytes(int id) {
        return id < 256 ? new byte[] {(byte) id} : pieces[id - 256].getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public boolean isSpecial(int id) {
        return id == vocabSize() - 1 && id >= 256;
    }

    @Override
    public String piece(int id) {
        return id < 256 ? "<0x%02X>".formatted(id) : pieces[id - 256];
    }

    @Override
    public int idOf(String piece) {
        for (int id = 256; id < vocabSize(); id++) {
            if (pieces[id - 256].equals(piece)) {
                return id;
            }
        }
        return -1;
    }

    @Override
    public int bos() {
        return -1;
    }

    @Override
    public int[] eos() {
        return new int[0];
    }
}
