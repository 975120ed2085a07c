package dev.quire.model.tokenizer;

import java.util.Arrays;

/** Grows up to one id more than its limit: that one says that there were too many. */
final class IdBuffer {
    private final int limit;
    private int[] ids;
    private int size;

    IdBuffer(int limit, int expected) {
        this.limit = limit;
        this.ids = new int[Math.max(16, expected)];
    }

    /** Whether there are more ids than the limit, so that no further one is of interest. */
    boolean over() {
        return size > limit;
    }

    /** How many more ids fit the limit. */
    int room() {
        return limit - size;
    }

    void add(int id) {
        if (over()) {
            return;
        }
        if (size == ids.length) {
            ids = Arrays.copyOf(ids, size * 2);
        }
        ids[size++] = id;
    }

    void addAll(int[] more, int count) {
        int taken = (int) Math.min(count, limit + 1L - size);
        if (size + taken > ids.length) {
            ids = Arrays.copyOf(ids, Math.max(size + taken, size * 2));
        }
        System.arraycopy(more, 0, ids, size, taken);
        size += taken;
    }

    /** Goes over the limit without real ids. */
    void overflow() {
        int missing = limit + 1 - size;
        addAll(new int[missing], missing);
    }

    int[] toArray() {
        return Arrays.copyOf(ids, size);
    }
}
