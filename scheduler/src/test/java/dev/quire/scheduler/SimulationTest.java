package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.kernels.KernelException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Seeded storms over a pool that is always too small: arrivals, several choices, priorities, clients that leave or read
 * slowly, faults of the device. Whatever a client gets is what the model says when the client is alone; the books are
 * right after each turn; everybody is answered; and in the end all blocks are free.
 */
class SimulationTest {
    private static final int TURNS = 50_000;

    private final List<HandEngine.Reader> live = new ArrayList<>();
    private HandEngine hand = new HandEngine(HandEngine.CONFIG, new FcfsPolicy(), 64);
    private int answered;
    private int failed;
    private int complete;
    private int mostPreemptions;

    @ParameterizedTest
    @CsvSource({"1, fcfs, 24, false", "2, fcfs, 40, true", "3, priority, 24, true", "4, priority, 80, false"})
    void everybodyGetsWhatTheyWouldGetAlone(long seed, String policy, int blocks, boolean faults) {
        Random random = new Random(seed);
        hand = new HandEngine(
                EngineConfig.DEFAULTS.withStep(24, 8),
                policy.equals("fcfs") ? new FcfsPolicy() : new PriorityPolicy(),
                blocks);
        boolean[] faulty = {faults};
        hand.runner.atAwait = () -> {
            if (faulty[0] && random.nextInt(400) == 0) {
                throw new KernelException("fake", -5, "hiccup");
            }
        };
        hand.runner.poison = row -> row.tokens()[0] == 499 && row.to() > 7;
        int accepted = 0;
        for (int turn = 0; turn < TURNS; turn++) {
            if (live.size() < 24 && random.nextInt(6) == 0) {
                live.add(hand.submit(request(random, faults)));
                accepted++;
            }
            step(random);
        }
        faulty[0] = false;
        for (int turn = 0; turn < 20_000 && !live.isEmpty(); turn++) {
            step(random);
        }

        assertThat(live).as("requests without an end").isEmpty();
        assertThat(answered).isEqualTo(accepted);
        assertThat(hand.freeBlocks()).isEqualTo(blocks);
        assertThat(hand.engine.facts().unfinished()).isZero();
        assertThat(hand.engine.facts().kvRepairs()).isZero();
        assertThat(hand.steps.stream()
                        .mapToInt(EngineListener.StepStats::preemptions)
                        .sum())
                .isPositive();
        assertThat(faults ? failed : complete).isPositive();
        System.out.printf(
                "seed %d: %d steps, %d requests, %d complete, %d failed, %d preemptions, at most %d of one request%n",
                seed,
                hand.runner.steps,
                answered,
                complete,
                failed,
                hand.finished.stream()
                        .mapToInt(EngineListener.RequestStats::preemptions)
                        .sum(),
                mostPreemptions);
    }

    private GenerationRequest request(Random random, boolean faults) {
        int[] prompt = random.ints(1 + random.nextInt(40), 0, 3).toArray();
        if (faults && random.nextInt(50) == 0) {
            prompt[0] = 499;
        }
        int n = random.nextInt(5) == 0 ? 2 + random.nextInt(3) : 1;
        int max = random.nextInt(20) == 0 ? 0 : 1 + random.nextInt(45);
        boolean scores = max == 0 || random.nextInt(10) == 0;
        int[] ends = random.nextBoolean() ? random.ints(20, 0, FakeModel.VOCAB).toArray() : new int[0];
        return new GenerationRequest(
                "s",
                prompt,
                HandEngine.params(random.nextInt(4), random.nextInt(4) == 0, random.nextInt(3) - 1, scores),
                n,
                max,
                random.nextInt(5),
                ends,
                random.nextInt(3),
                random.nextInt(5) == 0 ? "salt" : null);
    }

    private void step(Random random) {
        hand.clock.advance(1_000_000 + random.nextInt(1_000_000));
        if (random.nextInt(1000) == 0) {
            hand.clock.advance(20_000_000_000L);
        }
        hand.turn();
        for (Iterator<HandEngine.Reader> i = live.iterator(); i.hasNext(); ) {
            HandEngine.Reader reader = i.next();
            boolean slow = reader.request.prompt().length % 7 == 0;
            if (!slow || random.nextInt(60) == 0) {
                reader.read();
            }
            if (random.nextInt(2000) == 0) {
                reader.generation.close();
            } else if (random.nextInt(2000) == 0) {
                reader.generation.abort(random.nextInt(reader.request.n()));
            }
            if (reader.ended()) {
                verify(reader);
                i.remove();
            }
        }
    }

    private void verify(HandEngine.Reader reader) {
        answered++;
        failed += reader.failure != null ? 1 : 0;
        boolean whole = reader.failure == null;
        GenerationRequest request = reader.request;
        int most = Math.min(request.maxTokens(), hand.engine.maxLength() - request.prompt().length);
        int tokens = 0;
        for (int c = 0; c < request.n(); c++) {
            int[] expected = FakeModel.alone(request, c, most);
            int[] output = reader.output(c);
            tokens += output.length;
            FinishReason finish = reader.finishes.get(c);
            if (finish == FinishReason.STOP || finish == FinishReason.LENGTH) {
                assertThat(output).isEqualTo(expected);
            } else {
                assertThat(output).isEqualTo(Arrays.copyOf(expected, output.length));
                whole = false;
            }
        }
        Usage usage = reader.usage;
        if (usage != null) {
            assertThat(reader.finishes).doesNotContainNull();
            assertThat(usage.completionTokens()).isEqualTo(tokens);
        }
        complete += whole ? 1 : 0;
        if (request.n() == 1) {
            mostPreemptions = Math.max(
                    mostPreemptions,
                    hand.finished.getLast().n() == 1 ? hand.finished.getLast().preemptions() : 0);
        }
        verifyScores(reader, whole);
    }

    private static void verifyScores(HandEngine.Reader reader, boolean whole) {
        if (!reader.request.params().promptLogprobs()) {
            assertThat(reader.scores).isEmpty();
            return;
        }
        int[] prompt = reader.request.prompt();
        if (whole) {
            assertThat(reader.scores).hasSize(prompt.length - 1);
        }
        long prefix = 0;
        for (int i = 0; i < reader.scores.size(); i++) {
            prefix = FakeModel.extend(prefix, prompt[i]);
            TokenEvent.Scored score = reader.scores.get(i);
            assertThat(score.id()).isEqualTo(prompt[i + 1]);
            if (reader.request.params().logprobs() >= 0) {
                assertThat(score.logprob()).isEqualTo(FakeModel.logprob(prefix, prompt[i + 1]));
            }
        }
    }
}
