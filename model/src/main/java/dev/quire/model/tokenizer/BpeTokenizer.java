package dev.quire.model.tokenizer;

/**
 * Byte-pair encoding, byte-level or over characters: added tokens are found, the text between them is normalized, cut
 * into pieces, and each piece merged. An oversized text is given up as soon as it is known to be one.
 */
final class BpeTokenizer implements Tokenizer {
    private static final byte[] NO_BYTES = {};

    /**
     * @param beforeNormalizing tokens found in the text as it came
     * @param afterNormalizing tokens found in the normalized text
     */
    record Pipeline(
            AddedTokens beforeNormalizing,
            TextNormalizer normalizer,
            AddedTokens afterNormalizing,
            PreTokenizer preTokenizer,
            BpeModel model) {}

    /**
     * @param prefix ids put before a text when special tokens are added
     * @param suffix ids put after it
     * @param bos -1 when there is none
     * @param stripsLeadingSpace as {@link Tokenizer#stripsLeadingSpace()}
     */
    record SpecialIds(int[] prefix, int[] suffix, int bos, int[] eos, boolean stripsLeadingSpace) {}

    private final Vocabulary vocabulary;
    private final Pipeline pipeline;
    private final SpecialIds special;

    BpeTokenizer(Vocabulary vocabulary, Pipeline pipeline, SpecialIds special) {
        this.vocabulary = vocabulary;
        this.pipeline = pipeline;
        this.special = special;
    }

    @Override
    public int[] encode(CharSequence text, boolean addSpecial, boolean parseSpecial, int limit) {
        IdBuffer out = new IdBuffer(limit, Math.min(limit, text.length() / 3));
        if (addSpecial) {
            out.addAll(special.prefix, special.prefix.length);
        }
        String whole = Utf8.wellFormed(text).toString();
        if (pipeline.beforeNormalizing.split(whole, parseSpecial, new Pass(whole, parseSpecial, out)) && addSpecial) {
            out.addAll(special.suffix, special.suffix.length);
        }
        return out.toArray();
    }

    /** One text on its way through the pipeline. */
    private final class Pass implements AddedTokens.Sink {
        private final String whole;
        private final boolean parseSpecial;
        private final IdBuffer out;
        private final Merger merger = pipeline.model.merger();

        Pass(String whole, boolean parseSpecial, IdBuffer out) {
            this.whole = whole;
            this.parseSpecial = parseSpecial;
            this.out = out;
        }

        @Override
        public boolean token(int id) {
            out.add(id);
            return !out.over();
        }

        @Override
        public boolean text(String text, int from, int to) {
            boolean first = from == 0;
            String segment = from == 0 && to == whole.length() ? whole : text.substring(from, to);
            String normalized = pipeline.normalizer.apply(segment);
            return pipeline.afterNormalizing.split(normalized, parseSpecial, new AddedTokens.Sink() {
                @Override
                public boolean text(String text, int from, int to) {
                    return pipeline.preTokenizer.split(text, from, to, first && from == 0, Pass.this::piece);
                }

                @Override
                public boolean token(int id) {
                    return Pass.this.token(id);
                }
            });
        }

        private boolean piece(String text, int from, int to) {
            return from == to || pipeline.model.encode(text, from, to, merger, out);
        }
    }

    @Override
    public int vocabSize() {
        return vocabulary.size();
    }

    @Override
    public byte[] bytes(int id) {
        return id < vocabulary.size() ? vocabulary.bytes().copy(id) : NO_BYTES;
    }

    @Override
    public boolean isSpecial(int id) {
        return id >= vocabulary.size() || vocabulary.special()[id];
    }

    @Override
    public String piece(int id) {
        return id < vocabulary.size() ? vocabulary.piece(id) : "";
    }

    @Override
    public int idOf(String piece) {
        return vocabulary.id(piece);
    }

    @Override
    public boolean stripsLeadingSpace() {
        return special.stripsLeadingSpace;
    }

    @Override
    public int bos() {
        return special.bos;
    }

    @Override
    public int[] eos() {
        return special.eos.clone();
    }
}
