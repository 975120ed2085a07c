package dev.quire.model.weights;

import dev.quire.kernels.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * A tensor of a model file, mapped and not copied.
 *
 * @param name as the file has it
 * @param type element type
 * @param shape outermost dimension first; a matrix is {@code [rows, cols]}
 * @param data exactly the bytes of the elements; valid while the file is open
 */
public record WeightTensor(String name, DType type, long[] shape, MemorySegment data) {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Product of the dimensions. */
    public long elements() {
        long n = 1;
        for (long d : shape) {
            n = Math.multiplyExact(n, d);
        }
        return n;
    }

    /** An element of a plain type. @throws IllegalArgumentException when the type is none */
    public float number(long index) {
        return switch (type) {
            case F32 -> data.get(FLOAT, 4 * index);
            case F16 -> Float.float16ToFloat(data.get(SHORT, 2 * index));
            case BF16 -> Float.intBitsToFloat(data.get(SHORT, 2 * index) << 16);
            default -> throw new IllegalArgumentException("of type " + type + ", supported are F32, F16, BF16");
        };
    }
}
