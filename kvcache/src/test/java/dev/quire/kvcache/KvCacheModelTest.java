package dev.quire.kvcache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Random operations against a naive account of what every block must contain and how many are left. A write is a step: it
 * makes the pending swaps, outs before ins, then the copies, as a device does.
 */
class KvCacheModelTest {
    private static final int OPERATIONS = 100_000;
    private static final int BLOCKS = 24;
    private static final int BLOCK = 4;

    private static final class Sequence {
        final BlockTable table = new BlockTable();
        int[] tokens = new int[0];
        int written;

        @Nullable
        String salt;
    }

    /** Identity of what a slot of a block holds: salt and all tokens up to the position. */
    private final int[][] contents = new int[BLOCKS][BLOCK];

    private final List<Sequence> live = new ArrayList<>();
    private KvCache cache = new KvCache(BLOCKS, BLOCK, true, 7);
    /** Of the host's blocks. */
    private int[][] stored = new int[0][];
    /** What the last step swapped in. */
    private int[] swappedIn = new int[0];

    private long fetched;
    private final BlockCopies copies = new BlockCopies();

    @ParameterizedTest
    @CsvSource({"1, 0", "2, 0", "3, 0", "4, 3", "5, 20", "6, 60"})
    void everyTableAlwaysHoldsItsOwnContent(long seed, int hostBlocks) {
        Random random = new Random(seed);
        cache = new KvCache(BLOCKS, hostBlocks, BLOCK, true, 7);
        stored = new int[hostBlocks][BLOCK];
        long refused = 0;
        for (int i = 0; i < OPERATIONS; i++) {
            switch (random.nextInt(8)) {
                case 0, 1 -> arrive(random);
                case 2, 3, 4 -> refused += write(random) ? 0 : 1;
                case 5 -> fork(random);
                case 6 -> leave(random);
                default -> commitOne(random);
            }
            if (random.nextInt(1000) == 0) {
                failStep(random);
            }
            if (i % 16 == 0) {
                assertThat(cache.check(live.stream().map(s -> s.table).toList()))
                        .isNull();
            }
        }
        assertThat(refused).as("the pool ran out now and then").isPositive();
        assertThat(cache.stats().hitTokens()).isPositive();
        assertThat(cache.stats().evictions()).isPositive();
        assertThat(fetched > 0).as("blocks came from the host").isEqualTo(hostBlocks > 0);
        while (!live.isEmpty()) {
            leave(random);
        }
        cache.swapped();
        assertThat(cache.available()).isEqualTo(BLOCKS);
    }

    private void arrive(Random random) {
        if (live.size() >= 12) {
            return;
        }
        Sequence s = new Sequence();
        s.tokens = random.ints(1 + random.nextInt(30), 0, 2).toArray();
        s.salt = random.nextInt(4) == 0 ? "salt" : null;
        s.written = cache.attach(s.table, s.tokens, s.tokens.length, s.salt);
        int onDevice = s.written;
        s.written = cache.fetch(s.table, s.tokens, s.tokens.length);
        fetched += s.written - onDevice;
        cache.countLookup(s.tokens.length, s.written);
        assertThat(s.written).isLessThan(s.tokens.length);
        live.add(s);
        if (random.nextBoolean()) {
            swap();
            verify(s);
        }
    }

    private void swap() {
        int[] out = cache.swaps().out();
        for (int i = 0; i < out.length; i += 2) {
            stored[out[i + 1]] = contents[out[i]].clone();
        }
        swappedIn = cache.swaps().in();
        for (int i = 0; i < swappedIn.length; i += 2) {
            contents[swappedIn[i + 1]] = stored[swappedIn[i]].clone();
        }
        cache.swapped();
    }

    /** The last step's swaps and those of the next were in vain: who depends on them starts again. */
    private void failStep(Random random) {
        int[] lost = cache.forgetSwapped(swappedIn);
        for (int block : lost) {
            Arrays.fill(contents[block], random.nextInt());
        }
        for (int[] block : stored) {
            Arrays.fill(block, random.nextInt());
        }
        swappedIn = new int[0];
        for (Sequence s : List.copyOf(live)) {
            if (KvCache.holdsAny(s.table, lost)) {
                live.remove(s);
                cache.release(s.table);
            }
        }
        live.forEach(this::verify);
    }

    private boolean write(Random random) {
        if (live.isEmpty()) {
            return true;
        }
        Sequence s = any(random);
        int to = s.written + 1 + random.nextInt(6);
        int before = s.tokens.length;
        if (to > before) {
            s.tokens = Arrays.copyOf(s.tokens, to);
            for (int i = before; i < to; i++) {
                s.tokens[i] = random.nextInt(2);
            }
        }
        int needed = needed(s, to);
        boolean fits = needed <= BLOCKS - distinctBlocks();
        assertThat(cache.grow(s.table, s.written, to, copies)).isEqualTo(fits);
        if (!fits) {
            return false;
        }
        swap();
        int[] pairs = copies.pairs();
        for (int i = 0; i < pairs.length; i += 2) {
            contents[pairs[i + 1]] = contents[pairs[i]].clone();
        }
        cache.copied(copies);
        for (int p = s.written; p < to; p++) {
            contents[s.table.block(p / BLOCK)][p % BLOCK] = identity(s, p);
        }
        s.written = random.nextInt(4) == 0 ? takeBack(random, s, to) : to;
        live.forEach(this::verify);
        return true;
    }

    /** The last positions were guesses, and wrong. */
    private int takeBack(Random random, Sequence s, int to) {
        int right = s.written + 1 + random.nextInt(to - s.written);
        s.tokens = Arrays.copyOf(s.tokens, right);
        cache.shrink(s.table, right);
        assertThat(s.table.size()).isEqualTo(cache.blocksFor(right));
        return right;
    }

    private void fork(Random random) {
        if (live.isEmpty() || live.size() >= 12) {
            return;
        }
        Sequence parent = any(random);
        Sequence child = new Sequence();
        child.tokens = parent.tokens.clone();
        child.written = parent.written;
        child.salt = parent.salt;
        cache.fork(parent.table, child.table);
        live.add(child);
        if (cache.swaps().isEmpty()) {
            verify(child);
        }
    }

    private void commitOne(Random random) {
        if (!live.isEmpty()) {
            Sequence s = any(random);
            cache.commit(s.table, s.tokens, s.written);
        }
    }

    private void leave(Random random) {
        if (!live.isEmpty()) {
            Sequence s = live.remove(random.nextInt(live.size()));
            cache.release(s.table);
        }
    }

    private int needed(Sequence s, int to) {
        int needed = Math.max(0, Math.ceilDiv(to, BLOCK) - s.table.size());
        for (int i = s.written / BLOCK; i < s.table.size(); i++) {
            int block = s.table.block(i);
            long holders =
                    live.stream().filter(other -> holds(other.table, block)).count();
            needed += holders > 1 ? 1 : 0;
        }
        return needed;
    }

    private int distinctBlocks() {
        Set<Integer> blocks = new HashSet<>();
        for (Sequence s : live) {
            for (int i = 0; i < s.table.size(); i++) {
                blocks.add(s.table.block(i));
            }
        }
        int[] coming = cache.swaps().in();
        for (int i = 1; i < coming.length; i += 2) {
            blocks.add(coming[i]);
        }
        return blocks.size();
    }

    private static boolean holds(BlockTable table, int block) {
        for (int i = 0; i < table.size(); i++) {
            if (table.block(i) == block) {
                return true;
            }
        }
        return false;
    }

    private void verify(Sequence s) {
        int identity = seed(s);
        for (int p = 0; p < s.written; p++) {
            identity = next(identity, s.tokens[p]);
            if (contents[s.table.block(p / BLOCK)][p % BLOCK] != identity) {
                throw new AssertionError("position " + p + " of " + s.written + " holds something else");
            }
        }
    }

    private static int identity(Sequence s, int position) {
        int identity = seed(s);
        for (int i = 0; i <= position; i++) {
            identity = next(identity, s.tokens[i]);
        }
        return identity;
    }

    private static int seed(Sequence s) {
        return s.salt == null ? 17 : s.salt.hashCode();
    }

    private static int next(int identity, int token) {
        return identity * 1_000_003 + token + 1;
    }

    private Sequence any(Random random) {
        return live.get(random.nextInt(live.size()));
    }
}
