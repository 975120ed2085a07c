package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.model.ModelRunner;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The engine with its own thread. */
class EngineThreadTest {
    private static final int CLIENTS = 24;
    private static final int REQUESTS_EACH = 60;

    @Test
    @Timeout(120)
    void manyClientsThatComeAndGo() throws Exception {
        FakeRunner runner = new FakeRunner(FakeRunner.limits(64, 16, 60));
        Engine engine = Engine.start(runner, HandEngine.CONFIG, new FcfsPolicy(), EngineListener.NONE);
        Queue<Throwable> faults = new ConcurrentLinkedQueue<>();
        AtomicInteger whole = new AtomicInteger();
        List<Thread> clients = new ArrayList<>();
        for (int c = 0; c < CLIENTS; c++) {
            Random random = new Random(c);
            clients.add(Thread.ofVirtual().start(() -> {
                try {
                    for (int i = 0; i < REQUESTS_EACH; i++) {
                        whole.addAndGet(client(engine, random) ? 1 : 0);
                    }
                } catch (Throwable e) {
                    faults.add(e);
                }
            }));
        }
        for (Thread client : clients) {
            client.join();
        }
        assertThat(faults).isEmpty();
        assertThat(whole.get()).isGreaterThan(CLIENTS * REQUESTS_EACH / 4);
        assertThat(engine.drain(Duration.ofSeconds(20))).isTrue();
        engine.close();
        assertThat(engine.facts().unfinished()).isZero();
        assertThat(engine.facts().kvUsedBlocks()).isZero();
        assertThat(engine.facts().kvRepairs()).isZero();
        assertThat(Thread.getAllStackTraces().keySet())
                .noneMatch(t -> t.getName().equals("quire-engine"));
    }

    /** One request, read to its end or left half-way; whether it was read to the end. */
    private static boolean client(Engine engine, Random random) throws InterruptedException {
        int[] prompt = random.ints(1 + random.nextInt(30), 0, 3).toArray();
        int n = 1 + random.nextInt(2);
        GenerationRequest request = HandEngine.request(prompt, n, 1 + random.nextInt(30), 0);
        if (!(engine.submit(request) instanceof Engine.Submission.Accepted(Generation generation))) {
            throw new AssertionError("refused");
        }
        try (generation) {
            HandEngine.Reader reader = new HandEngine.Reader(request, generation);
            int leaveAfter = random.nextInt(3) == 0 ? random.nextInt(20) : Integer.MAX_VALUE;
            for (int i = 0; !reader.ended(); i++) {
                if (i == leaveAfter) {
                    return false;
                }
                reader.take(generation.next());
            }
            for (int c = 0; c < n; c++) {
                assertThat(reader.output(c)).isEqualTo(FakeModel.alone(request, c, request.maxTokens()));
            }
            return true;
        }
    }

    @Test
    @Timeout(60)
    void aReaderIsInterruptible() throws Exception {
        FakeRunner runner = new FakeRunner(FakeRunner.limits(64, 16, 60));
        CountDownLatch release = new CountDownLatch(1);
        runner.atAwait = () -> hold(release);
        try (Engine engine = Engine.start(runner, EngineConfig.DEFAULTS, new FcfsPolicy(), EngineListener.NONE)) {
            HandEngine.Reader reader = submit(engine, HandEngine.request(HandEngine.prompt('a', 4), 4));
            CountDownLatch interrupted = new CountDownLatch(1);
            Thread client = Thread.ofVirtual().start(() -> {
                try {
                    reader.generation.next();
                } catch (InterruptedException e) {
                    interrupted.countDown();
                }
            });
            client.interrupt();
            interrupted.await();
            release.countDown();
            client.join();
        }
    }

    @Test
    @Timeout(60)
    void closingTheEngineAnswersThoseWhoWait() throws Exception {
        FakeRunner runner = new FakeRunner(FakeRunner.limits(64, 16, 4000));
        Engine engine = Engine.start(runner, EngineConfig.DEFAULTS, new FcfsPolicy(), EngineListener.NONE);
        HandEngine.Reader reader = submit(engine, HandEngine.request(HandEngine.prompt('a', 4), 4000));
        reader.take(reader.generation.next());
        engine.close();
        while (!reader.ended()) {
            reader.take(reader.generation.next());
        }
        assertThat(reader.failure).contains("shutting down");
        assertThat(reader.generation.next()).isInstanceOf(TokenEvent.Failed.class);
    }

    @Test
    @Timeout(20)
    void closingAnIdleEngineEndsItsThread() throws Exception {
        FakeRunner runner = new FakeRunner(FakeRunner.limits(64, 16, 64));
        Engine engine = Engine.start(runner, EngineConfig.DEFAULTS, new FcfsPolicy(), EngineListener.NONE);
        HandEngine.Reader reader = submit(engine, HandEngine.request(HandEngine.prompt('a', 4), 4));
        while (!reader.ended()) {
            reader.take(reader.generation.next());
        }
        engine.close();

        assertThat(engine.facts().state()).isEqualTo(EngineFacts.State.DEAD);
        assertThat(engine.drain(Duration.ZERO)).isTrue();
    }

    @Test
    @Timeout(20)
    void closingWaitsForTheStepInFlightThoughInterrupted() throws Exception {
        FakeRunner runner = new FakeRunner(FakeRunner.limits(64, 16, 64));
        CountDownLatch inStep = new CountDownLatch(1);
        CountDownLatch release = new CountDownLatch(1);
        runner.atAwait = () -> {
            inStep.countDown();
            hold(release);
        };
        Engine engine = Engine.start(runner, EngineConfig.DEFAULTS, new FcfsPolicy(), EngineListener.NONE);
        submit(engine, HandEngine.request(HandEngine.prompt('a', 4), 4));
        inStep.await();
        Thread.ofVirtual().start(() -> {
            LockSupport.parkNanos(100_000_000);
            release.countDown();
        });
        Thread.currentThread().interrupt();
        engine.close();

        assertThat(Thread.interrupted()).isTrue();
        assertThat(engine.facts().state()).isEqualTo(EngineFacts.State.DEAD);
    }

    private static void hold(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static HandEngine.Reader submit(Engine engine, GenerationRequest request) {
        return new HandEngine.Reader(request, ((Engine.Submission.Accepted) engine.submit(request)).generation());
    }

    /** Not asserted: machines differ. */
    @Test
    @Timeout(60)
    void printsHowManyTokensPerSecondTheSchedulerItselfManages() throws Exception {
        FakeRunner runner = new FakeRunner(new ModelRunner.Limits(2048, 128, 4096, 16, 128, 1 << 20, 20_000, 16));
        runner.checking = false;
        AtomicLong steps = new AtomicLong();
        EngineListener listener = new EngineListener() {
            @Override
            public void onStep(StepStats step) {
                steps.incrementAndGet();
            }
        };
        try (Engine engine = Engine.start(runner, EngineConfig.DEFAULTS, new FcfsPolicy(), listener)) {
            for (int round = 0; round < 3; round++) {
                long begin = System.nanoTime();
                List<Thread> readers = new ArrayList<>();
                for (int i = 0; i < 128; i++) {
                    HandEngine.Reader reader = submit(engine, HandEngine.request(HandEngine.prompt('a', 20), 1000));
                    readers.add(Thread.ofVirtual().start(() -> {
                        try {
                            while (!(reader.generation.next() instanceof TokenEvent.Finished)) {}
                        } catch (InterruptedException e) {
                            Thread.currentThread().interrupt();
                        }
                    }));
                }
                for (Thread reader : readers) {
                    reader.join();
                }
                double seconds = (System.nanoTime() - begin) / 1e9;
                System.out.printf("scheduler alone: %.0f tokens/s (%d steps so far)%n", 128_000 / seconds, steps.get());
            }
        }
    }
}
