package dev.quire.model.tokenizer;

import dev.quire.model.weights.GgufMetadata;
import dev.quire.model.weights.Texts;
import dev.quire.model.weights.WeightsException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** Reads the tokenizer of a GGUF file. */
final class GgufTokenizer {
    private static final int NORMAL = 1;
    private static final int UNKNOWN = 2;
    private static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;
    private static final int BYTE = 6;

    /** Names by which models end a turn or a text, for files that name only one of them as the end. */
    private static final Set<String> END_NAMES = Set.of(
            "<|eot_id|>",
            "<|eom_id|>",
            "<|im_end|>",
            "<|end|>",
            "<|endoftext|>",
            "<|end_of_text|>",
            "<end_of_turn>",
            "<|end_of_turn|>",
            "<end_of_utterance>",
            "<｜end▁of▁sentence｜>",
            "<EOT>");

    private static final Set<String> BOS_BY_DEFAULT = Set.of("llama-bpe", "llama3", "llama-v3", "falcon3", "tekken");
    private static final Set<String> WHOLE_PIECES_FIRST =
            Set.of("llama-bpe", "llama3", "llama-v3", "falcon3", "tekken", "llama4");

    private final Path file;
    private final GgufMetadata metadata;
    private final Texts pieces;
    private final int[] types;
    private final PieceTable ids;

    GgufTokenizer(Path file, GgufMetadata metadata) {
        this.file = file;
        this.metadata = metadata;
        Texts tokens = metadata.strings("tokenizer.ggml.tokens");
        if (tokens == null || tokens.isEmpty()) {
            throw new WeightsException(file, "metadata lacks tokenizer.ggml.tokens");
        }
        pieces = tokens;
        types = types();
        ids = new PieceTable(pieces);
    }

    private int[] types() {
        int[] given = metadata.ints("tokenizer.ggml.token_type");
        if (given == null) {
            int[] normal = new int[pieces.size()];
            Arrays.fill(normal, NORMAL);
            return normal;
        }
        if (given.length != pieces.size()) {
            throw new WeightsException(
                    file,
                    "tokenizer.ggml.token_type has " + given.length + " elements and tokenizer.ggml.tokens has "
                            + pieces.size());
        }
        return given;
    }

    Tokenizer read() {
        String model = metadata.requireString("tokenizer.ggml.model");
        return switch (model) {
            case "gpt2" -> byteLevel();
            case "llama" -> sentencePiece();
            default ->
                throw new WeightsException(file, "tokenizer.ggml.model is " + model + ", supported are gpt2 and llama");
        };
    }

    private Tokenizer byteLevel() {
        String name = metadata.string("tokenizer.ggml.pre");
        String pre = name == null ? "default" : name;
        PreTokenizer preTokenizer = KnownPatterns.named(pre);
        if (preTokenizer == null) {
            throw new WeightsException(
                    file, "tokenizer.ggml.pre is " + pre + ", supported are " + KnownPatterns.names());
        }
        Vocabulary vocabulary = vocabulary(ByteAlphabet::spell);
        int[] byteIds = new int[256];
        for (int b = 0; b < 256; b++) {
            byteIds[b] = vocabulary.id(String.valueOf(ByteAlphabet.charOf(b)));
        }
        BpeModel bpe = new BpeModel(
                new Symbols.Bytes(byteIds),
                merges(),
                WHOLE_PIECES_FIRST.contains(pre) ? vocabulary : null,
                vocabulary.longestToken());
        AddedTokens none = new AddedTokens(List.of());
        return new BpeTokenizer(
                vocabulary,
                new BpeTokenizer.Pipeline(added(vocabulary), TextNormalizer.NONE, none, preTokenizer, bpe),
                specialIds(vocabulary, BOS_BY_DEFAULT.contains(pre), false));
    }

    private MergeTable merges() {
        Texts merges = metadata.strings("tokenizer.ggml.merges");
        if (merges == null) {
            throw new WeightsException(file, "metadata lacks tokenizer.ggml.merges");
        }
        MergeBuilder builder = new MergeBuilder(ids, merges.size());
        String problem = builder.addAll(merges);
        if (problem != null) {
            throw new WeightsException(file, "tokenizer.ggml.merges: " + problem);
        }
        return builder.table();
    }

    private Tokenizer sentencePiece() {
        float[] scores = metadata.floats("tokenizer.ggml.scores");
        if (scores == null || scores.length != pieces.size()) {
            throw new WeightsException(
                    file,
                    "tokenizer.ggml.scores has " + (scores == null ? 0 : scores.length)
                            + " elements and tokenizer.ggml.tokens has " + pieces.size());
        }
        Vocabulary vocabulary = vocabulary((texts, id, out) -> {
            int b = Vocabulary.byteOf(texts.get(id));
            if (b >= 0) {
                out.write((byte) b);
            }
            return b >= 0;
        });
        boolean prefix = metadata.flag("tokenizer.ggml.add_space_prefix", true);
        int unknown = metadata.intValue("tokenizer.ggml.unknown_token_id", -1);
        BpeModel bpe = new BpeModel(
                new Symbols.Characters(vocabulary, true, inVocabulary(unknown), false),
                ScoredMerges.table(vocabulary, scores, id -> !vocabulary.special()[id] && types[id] != BYTE),
                null,
                vocabulary.longestToken());
        TextNormalizer spaces = text -> (prefix ? "\u2581" : "") + text.replace(' ', '\u2581');
        PreTokenizer words = ScoredMerges.wordsBeginWithMark(vocabulary)
                ? new PreTokenizer.WordStarts('\u2581')
                : new PreTokenizer.Whole();
        return new BpeTokenizer(
                vocabulary,
                new BpeTokenizer.Pipeline(added(vocabulary), spaces, new AddedTokens(List.of()), words, bpe),
                specialIds(vocabulary, true, prefix));
    }

    /** Writes the bytes that a piece stands for; false when it stands for its own text. */
    private interface Spelling {
        boolean write(Texts pieces, int id, Texts.Writer out);
    }

    private Vocabulary vocabulary(Spelling ofNormal) {
        Texts.Writer bytes = new Texts.Writer(pieces.size());
        boolean[] special = new boolean[pieces.size()];
        for (int id = 0; id < pieces.size(); id++) {
            boolean normal = types[id] == NORMAL || types[id] == BYTE;
            if (!normal || !ofNormal.write(pieces, id, bytes)) {
                bytes.undo();
                bytes.write(spaced(pieces.get(id)).getBytes(StandardCharsets.UTF_8));
            }
            bytes.end();
            special[id] = types[id] == CONTROL || types[id] == UNKNOWN;
        }
        return new Vocabulary(pieces, bytes.texts(), special, ids);
    }

    private static String spaced(String piece) {
        return piece.replace('\u2581', ' ');
    }

    private AddedTokens added(Vocabulary vocabulary) {
        List<AddedToken> added = new ArrayList<>();
        for (int id = 0; id < pieces.size(); id++) {
            if (vocabulary.special()[id]) {
                added.add(AddedToken.exact(pieces.get(id), id, true));
            } else if (types[id] == USER_DEFINED) {
                added.add(AddedToken.exact(spaced(pieces.get(id)), id, false));
            }
        }
        return new AddedTokens(added);
    }

    private BpeTokenizer.SpecialIds specialIds(Vocabulary vocabulary, boolean bosByDefault, boolean stripsSpace) {
        int bos = inVocabulary(metadata.intValue("tokenizer.ggml.bos_token_id", -1));
        int eos = inVocabulary(metadata.intValue("tokenizer.ggml.eos_token_id", -1));
        boolean addBos = metadata.flag("tokenizer.ggml.add_bos_token", bosByDefault);
        boolean addEos = metadata.flag("tokenizer.ggml.add_eos_token", false);
        return new BpeTokenizer.SpecialIds(
                addBos && bos >= 0 ? new int[] {bos} : new int[0],
                addEos && eos >= 0 ? new int[] {eos} : new int[0],
                bos,
                ends(vocabulary, eos),
                stripsSpace);
    }

    private int[] ends(Vocabulary vocabulary, int eos) {
        Set<Integer> ends = new TreeSet<>();
        ends.add(eos);
        ends.add(inVocabulary(metadata.intValue("tokenizer.ggml.eot_token_id", -1)));
        ends.add(inVocabulary(metadata.intValue("tokenizer.ggml.eom_token_id", -1)));
        for (String name : END_NAMES) {
            int id = vocabulary.id(name);
            if (id >= 0 && vocabulary.special()[id]) {
                ends.add(id);
            }
        }
        ends.remove(-1);
        return ends.stream().mapToInt(Integer::intValue).toArray();
    }

    private int inVocabulary(int id) {
        if (id >= pieces.size() || id < -1) {
            throw new WeightsException(
                    file, "a special token has id " + id + ", the vocabulary has " + pieces.size() + " tokens");
        }
        return id;
    }
}
