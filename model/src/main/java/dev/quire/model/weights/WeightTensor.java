package dev.quire.model.weights;

import dev.quire.kernels.DType;
import java.lang.foreign.MemorySegment;

/**
 * A tensor of a model file, mapped and not copied.
 *
 * @param name as the file has it
 * @param type element type
 * @param shape outermost dimension first; a matrix is {@code [rows, cols]}
 * @param data exactly the bytes of the elements; valid while the file is open
 */
public record WeightTensor(String name, DType type, long[] shape, MemorySegment data) {
    /** Product of the dimensions. */
    public long elements() {
        long n = 1;
        for (long d : shape) {
            n = Math.multiplyExact(n, d);
        }
        return n;
    }
}
