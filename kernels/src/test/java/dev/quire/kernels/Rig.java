package dev.quire.kernels;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.IntToDoubleFunction;

/** A backend with short ways to fill, run and read it. Closing it fails when a buffer is left. */
final class Rig implements AutoCloseable {
    final Backend backend;
    private final Deque<AutoCloseable> owned = new ArrayDeque<>();

    Rig(Backend backend) {
        this.backend = backend;
    }

    <T extends AutoCloseable> T own(T closeable) {
        owned.push(closeable);
        return closeable;
    }

    Buffer buffer(String label, byte[] content) {
        Buffer buffer = own(backend.allocate(content.length, label));
        backend.upload(buffer, 0, MemorySegment.ofArray(content));
        return buffer;
    }

    byte[] read(Buffer buffer) {
        byte[] content = new byte[Math.toIntExact(buffer.bytes())];
        backend.download(MemorySegment.ofArray(content), buffer, 0);
        return content;
    }

    /** A view of its own buffer, filled. */
    Tensor tensor(String label, int cols, float[] values) {
        Buffer buffer = own(backend.allocate((long) values.length * Float.BYTES, label));
        backend.upload(buffer, 0, MemorySegment.ofArray(values));
        return new Tensor(buffer, 0, values.length / cols, cols);
    }

    Tensor zeros(String label, int rows, int cols) {
        return tensor(label, cols, new float[rows * cols]);
    }

    float[] read(Tensor tensor) {
        float[] values = new float[tensor.rows() * tensor.cols()];
        backend.download(MemorySegment.ofArray(values), tensor.buffer(), tensor.offset());
        return values;
    }

    Weight weight(StoredMatrix m) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment source = arena.allocate(m.bytes().length, 64);
            source.copyFrom(MemorySegment.ofArray(m.bytes()));
            return own(backend.load(source, m.type(), m.rows(), m.cols(), "weight " + m.type()));
        }
    }

    /** Compiles, runs on a fresh step that {@code fill} writes, and hands the step to {@code read}. */
    void run(List<Op> ops, Step.Limits limits, Consumer<Step> fill, Consumer<Step> read) {
        try (Backend.Program program = backend.compile(ops);
                Step step = backend.newStep(limits)) {
            step.clear();
            fill.accept(step);
            backend.submit(program, step);
            backend.await();
            read.accept(step);
        }
    }

    /** Runs with {@code tokens} tokens of one sequence, each with its row of logits. */
    void runRows(List<Op> ops, int tokens) {
        run(
                ops,
                new Step.Limits(tokens, 1, 1, tokens, 1, 1),
                step -> {
                    step.beginSequence();
                    for (int t = 0; t < tokens; t++) {
                        step.token(0, t, -1);
                        step.logits();
                    }
                },
                step -> {});
    }

    /** Closes all buffers; the backend stays open for more. */
    void release() throws Exception {
        while (!owned.isEmpty()) {
            owned.pop().close();
        }
        assertThat(backend.liveBuffers()).as("live buffers").isZero();
    }

    @Override
    public void close() throws Exception {
        release();
        backend.close();
    }

    /** Fails at the first element that is further from its value than it may be; one assertion, for there are millions. */
    static void assertClose(String what, float[] actual, double[] expected, IntToDoubleFunction tolerance) {
        for (int i = 0; i < expected.length; i++) {
            if (!(Math.abs(actual[i] - expected[i]) <= tolerance.applyAsDouble(i))) {
                assertThat((double) actual[i])
                        .as("%s, element %d", what, i)
                        .isCloseTo(expected[i], within(tolerance.applyAsDouble(i)));
            }
        }
    }

    static float[] gaussian(int n, long seed) {
        Random random = new Random(seed);
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Floats of a buffer that holds nothing else. */
    static float[] floats(byte[] bytes) {
        return MemorySegment.ofArray(bytes).toArray(JAVA_FLOAT.withByteAlignment(1));
    }
}
