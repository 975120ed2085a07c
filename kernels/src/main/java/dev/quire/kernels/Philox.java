package dev.quire.kernels;

/**
 * Philox4x32-10 (Salmon et al. 2011): a random number that is a function of key and counter, so that a draw depends on
 * the request's seed and the position alone.
 */
final class Philox {
    private static final long MULTIPLIER_0 = 0xD2511F53L;
    private static final long MULTIPLIER_1 = 0xCD9E8D57L;
    private static final int WEYL_0 = 0x9E3779B9;
    private static final int WEYL_1 = 0xBB67AE85;

    private Philox() {}

    /** The four words for key (k0, k1), written over the counter in {@code c}. */
    static void rounds(int[] c, int k0, int k1) {
        int key0 = k0;
        int key1 = k1;
        for (int round = 0; round < 10; round++) {
            long p0 = MULTIPLIER_0 * Integer.toUnsignedLong(c[0]);
            long p1 = MULTIPLIER_1 * Integer.toUnsignedLong(c[2]);
            c[0] = (int) (p1 >>> 32) ^ c[1] ^ key0;
            c[1] = (int) p1;
            c[2] = (int) (p0 >>> 32) ^ c[3] ^ key1;
            c[3] = (int) p0;
            key0 += WEYL_0;
            key1 += WEYL_1;
        }
    }

    /** A number in [0, 1) with 24 random bits. */
    static float uniform(long seed, int position, int stream) {
        int[] counter = {position, stream, 0, 0};
        rounds(counter, (int) seed, (int) (seed >>> 32));
        return (counter[0] >>> 8) * 0x1p-24f;
    }
}
