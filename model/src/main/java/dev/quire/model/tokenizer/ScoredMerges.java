package dev.quire.model.tokenizer;

import java.util.Arrays;
import java.util.function.IntPredicate;

/**
 * The merges of a SentencePiece vocabulary: any two pieces that together are a piece may merge, that of the best score
 * first. Equal scores have one rank, so that the leftmost comes first.
 */
final class ScoredMerges {
    /** Chars of the longest piece that merging makes: trying each cut of a piece takes quadratic time. */
    private static final int LONGEST_MERGED = 256;

    private ScoredMerges() {}

    /**
     * @param scores of the tokens by id
     * @param mergeable which tokens merging may make or use
     */
    static MergeTable table(Vocabulary vocabulary, float[] scores, IntPredicate mergeable) {
        int[] ranks = ranks(scores);
        IdBuffer found = new IdBuffer(Integer.MAX_VALUE - 1, vocabulary.size() * 4);
        for (int id = 0; id < vocabulary.size(); id++) {
            String piece = vocabulary.piece(id);
            int cuts = mergeable.test(id) && piece.length() <= LONGEST_MERGED ? piece.length() : 0;
            for (int cut = 1; cut < cuts; cut++) {
                int left = vocabulary.id(piece.substring(0, cut));
                int right = left < 0 ? -1 : vocabulary.id(piece.substring(cut));
                if (right >= 0 && mergeable.test(left) && mergeable.test(right)) {
                    found.add(left);
                    found.add(right);
                    found.add(id);
                }
            }
        }
        int[] merges = found.toArray();
        MergeTable table = new MergeTable(merges.length / 3);
        for (int i = 0; i < merges.length; i += 3) {
            table.put(merges[i], merges[i + 1], ranks[merges[i + 2]], merges[i + 2]);
        }
        return table;
    }

    /** For each token how many distinct scores are better than its own. */
    private static int[] ranks(float[] scores) {
        float[] sorted = scores.clone();
        Arrays.sort(sorted);
        int distinct = 0;
        for (int i = 0; i < sorted.length; i++) {
            if (i == 0 || Float.compare(sorted[i], sorted[i - 1]) != 0) {
                sorted[distinct++] = sorted[i];
            }
        }
        int[] ranks = new int[scores.length];
        for (int id = 0; id < scores.length; id++) {
            ranks[id] = distinct - 1 - Arrays.binarySearch(sorted, 0, distinct, scores[id]);
        }
        return ranks;
    }

    /** Whether no piece has the space mark after another character, so that merging never crosses a word's beginning. */
    static boolean wordsBeginWithMark(Vocabulary vocabulary) {
        for (String piece : vocabulary.pieces()) {
            for (int i = 1; i < piece.length(); i++) {
                if (piece.charAt(i) == '\u2581' && piece.charAt(i - 1) != '\u2581') {
                    return false;
                }
            }
        }
        return true;
    }
}
