package dev.quire.model.tokenizer;

import java.util.Arrays;

/**
 * Merges symbols until no pair of neighbours has a rank: always the pair of lowest rank, the leftmost of equals. Short
 * runs by scanning, long ones by a heap, so the cost is n log n whatever the text. Scratch space of one thread.
 */
final class Merger {
    private static final int SCAN_LIMIT = 48;

    private final MergeTable table;
    int[] symbols = new int[64];
    private int[] ranks = new int[SCAN_LIMIT];
    private int[] previous = new int[0];
    private int[] next = new int[0];
    private long[] heap = new long[0];
    private int heapSize;

    Merger(MergeTable table) {
        this.table = table;
    }

    /** Makes room for symbols; what was in {@link #symbols} is lost. */
    void reserve(int count) {
        if (symbols.length < count) {
            symbols = new int[Math.max(count, symbols.length * 2)];
        }
    }

    /** Merges the first {@code count} of {@link #symbols} in place; returns how many remain. */
    int merge(int count) {
        return count <= SCAN_LIMIT ? scan(count) : drain(count);
    }

    private int scan(int count) {
        int n = count;
        for (int i = 0; i + 1 < n; i++) {
            ranks[i] = table.rank(symbols[i], symbols[i + 1]);
        }
        while (n > 1) {
            int best = 0;
            for (int i = 1; i < n - 1; i++) {
                if (ranks[i] < ranks[best]) {
                    best = i;
                }
            }
            if (ranks[best] == MergeTable.NONE) {
                return n;
            }
            symbols[best] = table.result(symbols[best], symbols[best + 1]);
            n--;
            System.arraycopy(symbols, best + 2, symbols, best + 1, n - best - 1);
            System.arraycopy(ranks, best + 1, ranks, best, n - best - 1);
            if (best > 0) {
                ranks[best - 1] = table.rank(symbols[best - 1], symbols[best]);
            }
            if (best < n - 1) {
                ranks[best] = table.rank(symbols[best], symbols[best + 1]);
            }
        }
        return n;
    }

    private int drain(int count) {
        link(count);
        for (int i = 0; i + 1 < count; i++) {
            offer(i, i + 1);
        }
        while (heapSize > 0) {
            long top = poll();
            int left = (int) top;
            int right = next[left];
            // An entry is out of date when either of its symbols has been merged since.
            if (symbols[left] < 0
                    || right == count
                    || table.rank(symbols[left], symbols[right]) != (int) (top >>> 32)) {
                continue;
            }
            symbols[left] = table.result(symbols[left], symbols[right]);
            symbols[right] = -1;
            next[left] = next[right];
            if (next[left] < count) {
                previous[next[left]] = left;
                offer(left, next[left]);
            }
            if (previous[left] >= 0) {
                offer(previous[left], left);
            }
        }
        int kept = 0;
        for (int i = 0; i < count; i = next[i]) {
            symbols[kept++] = symbols[i];
        }
        return kept;
    }

    private void link(int count) {
        if (next.length < count) {
            next = new int[count];
            previous = new int[count];
        }
        for (int i = 0; i < count; i++) {
            next[i] = i + 1;
            previous[i] = i - 1;
        }
        heapSize = 0;
    }

    private void offer(int left, int right) {
        int rank = table.rank(symbols[left], symbols[right]);
        if (rank == MergeTable.NONE) {
            return;
        }
        if (heapSize == heap.length) {
            heap = Arrays.copyOf(heap, Math.max(64, heapSize * 2));
        }
        long entry = (long) rank << 32 | left;
        int i = heapSize++;
        while (i > 0 && heap[(i - 1) / 2] > entry) {
            heap[i] = heap[(i - 1) / 2];
            i = (i - 1) / 2;
        }
        heap[i] = entry;
    }

    private long poll() {
        long top = heap[0];
        long last = heap[--heapSize];
        int i = 0;
        while (2 * i + 1 < heapSize) {
            int child = 2 * i + 1;
            if (child + 1 < heapSize && heap[child + 1] < heap[child]) {
                child++;
            }
            if (heap[child] >= last) {
                break;
            }
            heap[i] = heap[child];
            i = child;
        }
        heap[i] = last;
        return top;
    }
}
