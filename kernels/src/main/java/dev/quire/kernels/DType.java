package dev.quire.kernels;

/**
 * Element types of weights, with the block layout of the GGUF specification: {@code blockElements} consecutive
 * elements of a row share {@code blockBytes} bytes. The code is the number used in GGUF files and in quire.h; F8_E4M3, of
 * which a block is a float32 scale and 32 codes of the OCP 8-bit floating point specification, is in no GGUF file.
 */
public enum DType {
    F32(0, 1, 4),
    F16(1, 1, 2),
    Q4_0(2, 32, 18),
    Q4_1(3, 32, 20),
    Q5_0(6, 32, 22),
    Q5_1(7, 32, 24),
    Q8_0(8, 32, 34),
    Q4_K(12, 256, 144),
    Q5_K(13, 256, 176),
    Q6_K(14, 256, 210),
    BF16(30, 1, 2),
    F8_E4M3(100, 32, 36);

    private final int code;
    private final int blockElements;
    private final int blockBytes;

    DType(int code, int blockElements, int blockBytes) {
        this.code = code;
        this.blockElements = blockElements;
        this.blockBytes = blockBytes;
    }

    /** The type's number in GGUF files and in quire.h. */
    public int code() {
        return code;
    }

    /** Elements in one block; 1 for plain types. */
    public int blockElements() {
        return blockElements;
    }

    /** Bytes of one block. */
    public int blockBytes() {
        return blockBytes;
    }

    /** True for types that store small integers with scales. */
    public boolean quantised() {
        return blockElements > 1;
    }

    /**
     * Bytes of {@code elements} consecutive elements of a row.
     *
     * @throws IllegalArgumentException when {@code elements} is not a whole number of blocks
     * @throws ArithmeticException on overflow
     */
    public long bytes(long elements) {
        if (elements < 0 || elements % blockElements != 0) {
            throw new IllegalArgumentException(
                    this + " stores blocks of " + blockElements + " elements, " + elements + " is no multiple");
        }
        return Math.multiplyExact(elements / blockElements, (long) blockBytes);
    }
}
