package dev.quire.model;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Runs a few long pieces of work at the same time, each on a platform thread; a single one on the caller's. */
final class SideBySide {
    private SideBySide() {}

    /**
     * The results in order, once all have ended.
     *
     * @param threadNames what the names of the threads begin with
     * @throws RuntimeException of the first that failed, as it was thrown
     */
    static <T> List<T> run(String threadNames, List<Callable<T>> pieces) {
        if (pieces.size() == 1) {
            return List.of(call(pieces.getFirst()));
        }
        try (ExecutorService threads = Executors.newThreadPerTaskExecutor(
                Thread.ofPlatform().name(threadNames, 0).factory())) {
            List<Future<T>> futures = new ArrayList<>();
            for (Callable<T> piece : pieces) {
                futures.add(threads.submit(piece));
            }
            List<T> results = new ArrayList<>();
            for (Future<T> future : futures) {
                results.add(call(future::get));
            }
            return results;
        }
    }

    private static <T> T call(Callable<T> piece) {
        try {
            return piece.call();
        } catch (RuntimeException e) {
            throw e;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException failure) {
                throw failure;
            }
            throw new IllegalStateException(e.getCause());
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
