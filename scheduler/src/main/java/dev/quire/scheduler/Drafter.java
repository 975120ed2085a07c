package dev.quire.scheduler;

/**
 * Guesses how a sequence goes on from what it holds already: the longest n-gram at its end that occurred before is
 * followed by what followed then (prompt lookup, Saxena 2023). Keeps count of how often that was right, whether or not
 * anybody used the guess. A token costs the same however long the sequence is. Engine thread.
 */
final class Drafter {
    private static final int NONE = 0;
    private static final int FIRST_SLOTS = 1 << 9;
    private static final int MOST_SLOTS = 1 << 16;
    /** Tokens taken in one call at most: a long prompt is spread over several steps. */
    private static final int AT_ONCE = 4096;
    /** Weight of the newest guess in the chance that guesses are right. */
    private static final float NEWEST = 0.1f;
    /** Its weight in what is usual among all sequences. */
    private static final float NEWEST_OF_ALL = 0.02f;

    private final int shortest;
    private final int longest;
    private final int promptLength;
    /** By hash of an n-gram: its latest end. Newer ones overwrite older ones, so what is found must be compared. */
    private int[] slots = new int[FIRST_SLOTS];
    /** Chance that a guess is right, by level: at first what is usual. */
    private final float[] chances;
    /** The same among all sequences. */
    private final float[] usual;

    private int taken;
    private int source = NONE;
    private int matched;

    /**
     * @param promptLength tokens that nobody needs guesses of
     * @param usual the chance that a guess is right, by level, among all sequences; this one's are added to it
     */
    Drafter(Speculation speculation, int promptLength, float[] usual) {
        chances = usual.clone();
        this.usual = usual;
        shortest = speculation.shortest();
        longest = speculation.longest();
        this.promptLength = promptLength;
    }

    /** Takes note of the sequence's tokens up to {@code length}; false while it has no guess of the next one. */
    boolean follow(int[] tokens, int length) {
        int end = Math.min(length, taken + AT_ONCE);
        while (taken < end) {
            take(tokens);
        }
        return taken == length && source != NONE;
    }

    private void take(int[] tokens) {
        if (source != NONE) {
            boolean right = tokens[source] == tokens[taken];
            int level = level(matched);
            chances[level] += NEWEST * ((right ? 1 : 0) - chances[level]);
            usual[level] += NEWEST_OF_ALL * ((right ? 1 : 0) - usual[level]);
            source = right ? source + 1 : NONE;
            matched++;
        }
        taken++;
        note(tokens, taken, taken >= promptLength && source == NONE);
    }

    /** Enters the n-grams that end at a position, and finds where the longest of them ended before, if asked to. */
    private void note(int[] tokens, int end, boolean find) {
        if ((longest - shortest + 1) * 2 * end > slots.length && slots.length < MOST_SLOTS) {
            grow(tokens, end);
        }
        int hash = 0;
        for (int n = 1; n <= longest && n <= end; n++) {
            hash = (hash + tokens[end - n] + 1) * 0x9E3779B1;
            if (n < shortest) {
                continue;
            }
            int slot = hash >>> Integer.numberOfLeadingZeros(slots.length - 1);
            int before = slots[slot];
            slots[slot] = end;
            if (find && before >= n && before < end && same(tokens, before, end, n)) {
                source = before;
                matched = n;
            }
        }
    }

    private void grow(int[] tokens, int end) {
        slots = new int[slots.length * 2];
        for (int i = 1; i < end; i++) {
            note(tokens, i, false);
        }
    }

    private static boolean same(int[] tokens, int end, int other, int n) {
        for (int i = 1; i <= n; i++) {
            if (tokens[end - i] != tokens[other - i]) {
                return false;
            }
        }
        return true;
    }

    /** The chances, by level, that are usual in chats. */
    static float[] usualInChats() {
        return new float[] {0.15f, 0.3f, 0.5f, 0.65f, 0.85f};
    }

    /** By how many tokens matched: 1, 2, 3, 4 to 7, and more. */
    private static int level(int matched) {
        return matched < 4 ? matched - 1 : matched < 8 ? 3 : 4;
    }

    /** The chance that guess number {@code i} is right when those before it are. */
    double chance(int i) {
        return chances[level(matched + i)];
    }

    /** Writes {@code count} guesses behind the sequence's tokens, of which {@link #follow} has been told. */
    void draft(int[] tokens, int length, int count) {
        for (int i = 0; i < count; i++) {
            tokens[length + i] = tokens[source + i]; // may be a guess itself: a period shorter than the guesses
        }
    }
}
