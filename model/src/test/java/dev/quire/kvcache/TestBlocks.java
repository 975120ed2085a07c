package dev.quire.kvcache;

/** Makes block tables of given blocks, which only the cache's book-keeping can do otherwise. */
public final class TestBlocks {
    private TestBlocks() {}

    /** A table of these blocks, in this order. */
    public static BlockTable of(int... blocks) {
        BlockTable table = new BlockTable();
        for (int block : blocks) {
            table.add(block);
        }
        return table;
    }

    /** A table of {@code count} blocks that begin at {@code first}. */
    public static BlockTable from(int first, int count) {
        int[] blocks = new int[count];
        for (int i = 0; i < count; i++) {
            blocks[i] = first + i;
        }
        return of(blocks);
    }
}
