package dev.quire.model.tokenizer;

import dev.quire.model.weights.Texts;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** The parts of a tokenizer.json put together. What is not supported is an IllegalArgumentException that names it. */
final class TokenizerJson {
    private static final int MAX_ID = 4 << 20;

    private final JsonNode root;
    private final JsonNode model;
    private final List<AddedToken> added;
    private final Vocabulary vocabulary;
    private final Decoding decoding;

    TokenizerJson(JsonNode root) {
        this.root = root;
        JsonNode node = JsonFields.member(root, "model");
        if (node == null) {
            throw new IllegalArgumentException("model is missing");
        }
        this.model = node;
        checkModel();
        this.added = added();
        this.decoding = Decoding.of(JsonFields.member(root, "decoder"));
        this.vocabulary = vocabulary(pieces(node));
    }

    private void checkModel() {
        String type = JsonFields.text(model, "type", JsonFields.member(model, "merges") == null ? "" : "BPE");
        if (!type.equals("BPE")) {
            throw JsonFields.unsupported("model", type);
        }
        for (String affix : List.of("continuing_subword_prefix", "end_of_word_suffix")) {
            if (!JsonFields.text(model, affix, "").isEmpty()) {
                throw new IllegalArgumentException("model with " + affix + " is not supported");
            }
        }
    }

    private List<AddedToken> added() {
        List<AddedToken> tokens = new ArrayList<>();
        for (JsonNode node : JsonFields.list(root, "added_tokens")) {
            boolean special = JsonFields.flag(node, "special", false);
            tokens.add(new AddedToken(
                    JsonFields.text(node, "content", ""),
                    checkedId(JsonFields.number(node, "id", -1)),
                    special,
                    JsonFields.flag(node, "normalized", !special),
                    JsonFields.flag(node, "lstrip", false),
                    JsonFields.flag(node, "rstrip", false),
                    JsonFields.flag(node, "single_word", false)));
        }
        return tokens;
    }

    private String[] pieces(JsonNode model) {
        JsonNode vocab = JsonFields.member(model, "vocab");
        if (vocab == null || !vocab.isObject()) {
            throw new IllegalArgumentException("model.vocab should be an object");
        }
        int size = added.stream().mapToInt(AddedToken::id).max().orElse(-1) + 1;
        for (Map.Entry<String, JsonNode> token : vocab.properties()) {
            size = Math.max(size, checkedId(JsonFields.number(token.getValue(), "id of " + token.getKey())) + 1);
        }
        String[] pieces = new String[size];
        Arrays.fill(pieces, "");
        for (Map.Entry<String, JsonNode> token : vocab.properties()) {
            pieces[token.getValue().intValue()] = token.getKey();
        }
        for (AddedToken token : added) {
            pieces[token.id()] = token.text();
        }
        return pieces;
    }

    private static int checkedId(int id) {
        if (id < 0 || id > MAX_ID) {
            throw new IllegalArgumentException("a token has id " + id + ", allowed are 0 to " + MAX_ID);
        }
        return id;
    }

    private Vocabulary vocabulary(String[] pieces) {
        boolean[] special = new boolean[pieces.length];
        boolean[] plain = new boolean[pieces.length];
        for (AddedToken token : added) {
            special[token.id()] = token.special();
            plain[token.id()] = true;
        }
        Texts.Writer bytes = new Texts.Writer(pieces.length);
        for (int id = 0; id < pieces.length; id++) {
            bytes.write(plain[id] ? pieces[id].getBytes(StandardCharsets.UTF_8) : decoding.bytes(pieces[id]));
            bytes.end();
        }
        Texts written = Texts.of(Arrays.asList(pieces));
        return new Vocabulary(written, bytes.texts(), special, new PieceTable(written));
    }

    Vocabulary vocabulary() {
        return vocabulary;
    }

    /** The tokenizer, the facts of other files added. */
    Tokenizer tokenizer(int bos, int[] eos) {
        TextNormalizer normalizer = JsonNormalizers.read(JsonFields.member(root, "normalizer"));
        List<AddedToken> before = new ArrayList<>();
        List<AddedToken> after = new ArrayList<>();
        for (AddedToken token : added) {
            if (token.normalized()) {
                after.add(withText(token, normalizer.apply(token.text())));
            } else {
                before.add(token);
            }
        }
        JsonPreTokenizers.Cut cut = JsonPreTokenizers.read(JsonFields.member(root, "pre_tokenizer"));
        PreTokenizer preTokenizer =
                cut.preTokenizer() instanceof PreTokenizer.Whole && ScoredMerges.wordsBeginWithMark(vocabulary)
                        ? new PreTokenizer.WordStarts('\u2581')
                        : cut.preTokenizer();
        JsonPostProcessor.Affixes affixes =
                JsonPostProcessor.read(JsonFields.member(root, "post_processor"), vocabulary);
        return new BpeTokenizer(
                vocabulary,
                new BpeTokenizer.Pipeline(
                        new AddedTokens(before), normalizer, new AddedTokens(after), preTokenizer, bpe(cut.bytes())),
                new BpeTokenizer.SpecialIds(
                        affixes.prefix(), affixes.suffix(), bos, eos, decoding.stripsLeadingSpace()));
    }

    private static AddedToken withText(AddedToken t, String text) {
        return new AddedToken(text, t.id(), t.special(), t.normalized(), t.leftStrip(), t.rightStrip(), t.singleWord());
    }

    private BpeModel bpe(boolean bytes) {
        String unknownPiece = JsonFields.text(model, "unk_token", "");
        int unknown = unknownPiece.isEmpty() ? -1 : vocabulary.id(unknownPiece);
        Symbols symbols = bytes
                ? byteSymbols(unknown)
                : new Symbols.Characters(
                        vocabulary,
                        JsonFields.flag(model, "byte_fallback", false),
                        unknown,
                        JsonFields.flag(model, "fuse_unk", false));
        boolean whole = JsonFields.flag(model, "ignore_merges", false);
        return new BpeModel(symbols, merges(), whole ? vocabulary : null, vocabulary.longestToken());
    }

    private Symbols byteSymbols(int unknown) {
        int[] ids = new int[256];
        for (int b = 0; b < 256; b++) {
            int id = vocabulary.id(String.valueOf(ByteAlphabet.charOf(b)));
            ids[b] = id < 0 ? unknown : id;
        }
        return new Symbols.Bytes(ids);
    }

    private MergeTable merges() {
        List<JsonNode> merges = JsonFields.list(model, "merges");
        MergeBuilder builder = new MergeBuilder(vocabulary.ids(), merges.size());
        for (JsonNode merge : merges) {
            String problem = merge.isString() ? builder.add(merge.stringValue()) : pair(builder, merge);
            if (problem != null) {
                throw new IllegalArgumentException("model.merges: " + problem);
            }
        }
        return builder.table();
    }

    private static @Nullable String pair(MergeBuilder builder, JsonNode merge) {
        if (!merge.isArray()
                || merge.size() != 2
                || !merge.get(0).isString()
                || !merge.get(1).isString()) {
            return "a merge should be a string or an array of two";
        }
        return builder.add(merge.get(0).stringValue(), merge.get(1).stringValue());
    }
}
