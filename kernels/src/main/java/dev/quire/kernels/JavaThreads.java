package dev.quire.kernels;

import java.util.concurrent.ForkJoinPool;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/** The compute threads of {@link JavaBackend}. Tasks must not depend on each other; their results are in no order. */
final class JavaThreads implements AutoCloseable {
    private final int count;
    private final ForkJoinPool pool;

    JavaThreads(int count) {
        this.count = count;
        pool = new ForkJoinPool(count);
    }

    int count() {
        return count;
    }

    /** Runs {@code task} for 0 .. n-1 and returns when all are done. */
    void forEach(int n, IntConsumer task) {
        if (count == 1 || n < 2) {
            for (int i = 0; i < n; i++) {
                task.accept(i);
            }
            return;
        }
        pool.submit(() -> IntStream.range(0, n).parallel().forEach(task)).join();
    }

    @Override
    public void close() {
        pool.close();
    }
}
