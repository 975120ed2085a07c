package dev.quire.kvcache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class KvCacheTest {
    private static final int BLOCK = 4;

    private final BlockCopies copies = new BlockCopies();

    @Test
    void attachesTheLongestKnownPrefixButNeverTheWholePrompt() {
        KvCache cache = cache(10);
        int[] prompt = {1, 2, 3, 4, 5, 6, 7, 8};
        computed(cache, prompt, null);

        assertThat(cache.attach(new BlockTable(), prompt, 8, null)).isEqualTo(4);
        assertThat(cache.attach(new BlockTable(), new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9}, 9, null))
                .isEqualTo(8);
        assertThat(cache.attach(new BlockTable(), new int[] {1, 2, 3, 4, 5, 6, 7, 0, 9}, 9, null))
                .isEqualTo(4);
        assertThat(cache.attach(new BlockTable(), new int[] {0, 2, 3, 4, 5}, 5, null))
                .isZero();
    }

    @Test
    void prefixesOfAnotherSaltAreNotFound() {
        KvCache cache = cache(10);
        int[] prompt = {1, 2, 3, 4, 5};
        computed(cache, prompt, "tenant a");

        assertThat(cache.attach(new BlockTable(), prompt, 5, null)).isZero();
        assertThat(cache.attach(new BlockTable(), prompt, 5, "tenant b")).isZero();
        assertThat(cache.attach(new BlockTable(), prompt, 5, "tenant a")).isEqualTo(4);
    }

    @Test
    void sameTokensAfterAnotherParentAreNotFound() {
        KvCache cache = cache(10);
        computed(cache, new int[] {1, 1, 1, 1, 7, 7, 7, 7}, null);

        assertThat(cache.attach(new BlockTable(), new int[] {2, 2, 2, 2, 7, 7, 7, 7, 9}, 9, null))
                .isZero();
        assertThat(cache.attach(new BlockTable(), new int[] {7, 7, 7, 7, 9}, 5, null))
                .isZero();
    }

    @Test
    void anEqualPrefixComputedTwiceIsSharedByLaterOnes() {
        KvCache cache = cache(10);
        int[] prompt = {1, 2, 3, 4, 5, 6, 7, 8, 9};
        BlockTable one = grown(cache, prompt, null);
        BlockTable two = grown(cache, prompt, null);
        cache.commit(one, prompt, 9);
        cache.commit(two, prompt, 9);

        BlockTable three = new BlockTable();
        assertThat(cache.attach(three, prompt, 9, null)).isEqualTo(8);
        assertThat(three.block(0)).isEqualTo(one.block(0));
        assertThat(cache.check(List.of(one, two, three))).isNull();
    }

    @Test
    void withoutPrefixCachingNothingIsFoundAndEverythingIsFreeAgain() {
        KvCache cache = new KvCache(10, BLOCK, false, 1);
        int[] prompt = {1, 2, 3, 4, 5};
        computed(cache, prompt, null);

        assertThat(cache.attach(new BlockTable(), prompt, 5, null)).isZero();
        assertThat(cache.stats().free()).isEqualTo(10);
    }

    @Test
    void growthThatDoesNotFitChangesNothing() {
        KvCache cache = cache(3);
        BlockTable table = new BlockTable();
        assertThat(cache.grow(table, 0, 8, copies)).isTrue();

        assertThat(cache.grow(table, 8, 17, copies)).isFalse();

        assertThat(table.size()).isEqualTo(2);
        assertThat(cache.available()).isEqualTo(1);
    }

    @Test
    void evictsTheLeastRecentlyUsedPrefixAndItsTailFirst() {
        KvCache cache = cache(4);
        int[] old = {1, 2, 3, 4, 5, 6, 7, 8, 0};
        int[] young = {9, 9, 9, 9, 8, 8, 8, 8, 0};
        computed(cache, old, null, 8);
        computed(cache, young, null, 8);
        assertThat(cache.stats().cached()).isEqualTo(4);

        BlockTable table = new BlockTable();
        assertThat(cache.grow(table, 0, 4, copies)).isTrue();
        assertThat(cache.stats().evictions()).isEqualTo(1);
        cache.release(table);

        assertThat(hit(cache, old)).isEqualTo(4);
        assertThat(hit(cache, young)).isEqualTo(8);
    }

    @Test
    void aForkedSequenceGetsItsOwnCopyOfTheBlockItWrites() {
        KvCache cache = cache(10);
        int[] prompt = {1, 2, 3, 4, 5, 6};
        BlockTable parent = grown(cache, prompt, null);
        BlockTable child = new BlockTable();
        cache.commit(parent, prompt, 6);
        cache.fork(parent, child);
        int shared = parent.block(1);

        assertThat(cache.grow(parent, 6, 7, copies)).isTrue();
        assertThat(cache.grow(child, 6, 7, copies)).isTrue();

        assertThat(copies.pairs()).containsExactly(shared, parent.block(1));
        assertThat(parent.block(1)).isNotEqualTo(shared);
        assertThat(child.block(1)).isEqualTo(shared);
        assertThat(child.block(0)).isEqualTo(parent.block(0));
        assertThat(cache.check(List.of(parent, child))).isNull();
    }

    @Test
    void theSourceOfACopyIsNotGivenAwayBeforeTheCopyIsMade() {
        KvCache cache = cache(3);
        BlockTable parent = grown(cache, new int[] {1, 2}, null);
        BlockTable child = new BlockTable();
        cache.fork(parent, child);
        assertThat(cache.grow(parent, 2, 3, copies)).isTrue();
        int source = child.block(0);

        cache.release(child);
        BlockTable other = new BlockTable();
        assertThat(cache.grow(other, 0, 8, copies)).isFalse();
        assertThat(cache.grow(other, 0, 4, copies)).isTrue();
        assertThat(other.block(0)).isNotEqualTo(source);

        cache.copied(copies);
        assertThat(cache.grow(other, 4, 8, copies)).isTrue();
        assertThat(other.block(1)).isEqualTo(source);
    }

    @Test
    void writingIntoAFullSharedBlockIsAnError() {
        KvCache cache = cache(3);
        int[] prompt = {1, 2, 3, 4};
        BlockTable table = grown(cache, prompt, null);
        cache.commit(table, prompt, 4);

        assertThatThrownBy(() -> cache.grow(table, 3, 5, copies)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void aWrongCountIsFoundAndRepaired() {
        KvCache cache = cache(4);
        BlockTable lost = grown(cache, new int[] {1, 2, 3, 4, 5}, null);
        BlockTable kept = grown(cache, new int[] {6, 7}, null);
        assertThat(cache.check(List.of(lost, kept))).isNull();

        assertThat(cache.check(List.of(kept))).contains("has 1 references, but 0 tables");
        cache.repair(List.of(kept));

        assertThat(cache.check(List.of(kept))).isNull();
        assertThat(cache.available()).isEqualTo(3);
    }

    @Test
    void shrinkingGivesBackWhatIsNotNeededAndNeverWhatIsCommitted() {
        KvCache cache = cache(4);
        int[] tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9};
        BlockTable table = grown(cache, tokens, null);
        cache.shrink(table, 5);
        assertThat(table.size()).isEqualTo(2);
        assertThat(cache.available()).isEqualTo(2);
        cache.commit(table, tokens, 8);
        cache.shrink(table, 1);

        assertThat(table.size()).isEqualTo(2);
        assertThat(cache.check(List.of(table))).isNull();
    }

    private static KvCache cache(int blocks) {
        return new KvCache(blocks, BLOCK, true, 42);
    }

    private static int hit(KvCache cache, int[] prompt) {
        BlockTable table = new BlockTable();
        int hit = cache.attach(table, prompt, prompt.length, null);
        cache.release(table);
        return hit;
    }

    private BlockTable grown(KvCache cache, int[] prompt, @Nullable String salt) {
        BlockTable table = new BlockTable();
        table.salt = salt;
        assertThat(cache.grow(table, 0, prompt.length, copies)).isTrue();
        return table;
    }

    private void computed(KvCache cache, int[] prompt, @Nullable String salt) {
        computed(cache, prompt, salt, prompt.length);
    }

    private void computed(KvCache cache, int[] prompt, @Nullable String salt, int length) {
        BlockTable table = new BlockTable();
        cache.attach(table, prompt, length, salt);
        assertThat(cache.grow(table, 0, length, copies)).isTrue();
        cache.commit(table, prompt, length);
        cache.release(table);
    }
}
