package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.kernels.KernelException;
import dev.quire.model.ModelRunner;
import dev.quire.model.sampling.SamplingParams;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.function.LongSupplier;
import java.util.function.ToIntFunction;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Seeded storms over a pool that is always too small: arrivals, several choices, priorities, clients that leave or read
 * slowly or not at all, faults of the device, guesses that come true or do not. Whatever a client gets is what the model
 * says when the client is alone; the books are right after each turn; everybody is answered, soon after the storm and
 * within bounds while it lasts; and in the end all blocks are free. A million steps in all.
 */
class SimulationTest {
    private static final int TURNS = 125_000;
    private static final int MOST_LIVE = 24;
    /** Turns within which a request ends whose client reads, whoever else comes. */
    private static final int PATIENCE = 1_500;
    /** Turns within which all end when nobody comes any more. */
    private static final int AFTERWARDS = 4_000;

    private final List<Client> live = new ArrayList<>();
    private Random random = new Random(0);
    private HandEngine hand = new HandEngine(HandEngine.CONFIG, new FcfsPolicy(), 64);
    private boolean faulty;
    private int turn;
    private int answered;
    private int failed;
    private int dropped;
    private int complete;
    private int oldest;

    /** How a client reads. */
    private enum Habit {
        PROMPT,
        SLOW,
        NEVER
    }

    private record Client(HandEngine.Reader reader, Habit habit, int since) {}

    @ParameterizedTest
    @CsvSource({
        "1, fcfs, 24, 8, true, 0, false, 0, 1",
        "2, fcfs, 40, 8, true, 5, true, 0, 1",
        "3, priority, 24, 8, true, 1, true, 0, 1",
        "4, priority, 80, 4, true, 8, false, 0, 1",
        "5, fcfs, 13, 8, false, 5, true, 0, 1",
        "6, priority, 13, 8, false, 0, true, 0, 1",
        "7, fcfs, 60, 3, true, 12, true, 0, 1",
        "8, priority, 30, 16, true, 3, true, 0, 1",
        "9, static, 60, 8, false, 0, true, 0, 1",
        "10, dynamic, 40, 4, true, 0, true, 0, 1",
        "11, fcfs, 24, 8, true, 5, true, 40, 1",
        "12, priority, 30, 8, true, 0, false, 9, 1",
        "13, fcfs, 13, 8, true, 3, true, 200, 1",
        "14, fcfs, 24, 8, true, 0, false, 0, 2",
        "15, priority, 24, 8, true, 5, true, 0, 2",
        "16, fcfs, 24, 8, true, 3, true, 40, 2",
        "17, priority, 13, 8, true, 0, true, 9, 2",
    })
    void everybodyGetsWhatTheyWouldGetAlone(
            long seed,
            String policy,
            int blocks,
            int rows,
            boolean caching,
            int guesses,
            boolean faults,
            int hostBlocks,
            int queue) {
        random = new Random(seed);
        ManualClock clock = new ManualClock();
        ModelRunner.Limits limits = FakeRunner.limits(24, rows, blocks, hostBlocks);
        hand = new HandEngine(config(rows, caching, guesses), policy(policy, clock), limits, clock);
        hand.runner.queue = queue;
        faulty = faults;
        injectFaults();
        int accepted = 0;
        for (turn = 0; turn < TURNS; turn++) {
            if (live.size() < MOST_LIVE && random.nextInt(6) == 0) {
                accept();
                accepted++;
            }
            step();
        }
        faulty = false;
        for (int end = turn + AFTERWARDS; turn < end && !live.isEmpty(); turn++) {
            step();
        }

        assertThat(live).as("requests without an end").isEmpty();
        assertThat(answered).isEqualTo(accepted);
        assertThat(oldest).as("turns of the slowest request").isLessThan(PATIENCE);
        assertThat(hand.freeBlocks()).isEqualTo(blocks);
        assertThat(hand.engine.facts().unfinished()).isZero();
        assertThat(hand.engine.facts().kvRepairs()).isZero();
        assertThat(preemptions()).isPositive();
        assertThat(hand.runner.behind > TURNS / 10)
                .as("steps launched behind others")
                .isEqualTo(queue > 1);
        assertThat(hand.runner.swappedIn > 1000).isEqualTo(hostBlocks > 0);
        assertThat(complete).isGreaterThan(answered / 3);
        assertThat(dropped).isPositive();
        assertThat(failed > dropped).isEqualTo(faults);
        assertThat(sum(EngineListener.StepStats::acceptedTokens) > 500).isEqualTo(guesses > 0);
        assertThat(sum(EngineListener.StepStats::guessedTokens))
                .as("tokens guessed, some of them wrongly")
                .isGreaterThanOrEqualTo((guesses > 0 ? 100 : 0) + sum(EngineListener.StepStats::acceptedTokens));
        System.out.printf(
                "seed %d: %d steps, %d requests, %d complete, %d failed, %d dropped, %d preemptions, oldest %d,"
                        + " %d guessed, %d accepted, %d swapped in, %d behind%n",
                seed,
                hand.runner.steps,
                answered,
                complete,
                failed,
                dropped,
                preemptions(),
                oldest,
                sum(EngineListener.StepStats::guessedTokens),
                sum(EngineListener.StepStats::acceptedTokens),
                hand.runner.swappedIn,
                hand.runner.behind);
    }

    private static EngineConfig config(int rows, boolean caching, int guesses) {
        Speculation speculation = new Speculation(guesses, 4, 2);
        return new EngineConfig(
                24, rows, 0, 0, caching, speculation, 2.4, 2_000_000_000L, 6, 500_000_000L, 3, 10_000_000_000L);
    }

    private static SchedulingPolicy policy(String name, LongSupplier clock) {
        return switch (name) {
            case "fcfs" -> new FcfsPolicy();
            case "priority" -> new PriorityPolicy(Duration.ofMillis(100));
            case "static" -> RequestLevelPolicy.fixed(Duration.ofMillis(20), clock);
            default -> RequestLevelPolicy.dynamic(Duration.ofMillis(5), clock);
        };
    }

    private int preemptions() {
        return sum(EngineListener.StepStats::preemptions);
    }

    private int sum(ToIntFunction<EngineListener.StepStats> number) {
        return hand.steps.stream().mapToInt(number).sum();
    }

    private void injectFaults() {
        hand.runner.atAwait = () -> {
            if (faulty && random.nextInt(400) == 0) {
                throw new KernelException("fake", -5, "hiccup");
            }
        };
        hand.runner.poison = row -> row.tokens()[0] == 499 && row.to() > 7;
        hand.runner.notFinite = row -> row.tokens()[0] == 498 && row.to() > 9;
        hand.runner.unfit = row -> faulty && row.tokens()[0] == 497 && row.to() > 11;
    }

    private void accept() {
        HandEngine.Reader reader = hand.submit(request());
        int kind = random.nextInt(40);
        live.add(new Client(reader, kind == 0 ? Habit.NEVER : kind < 6 ? Habit.SLOW : Habit.PROMPT, turn));
    }

    private GenerationRequest request() {
        int[] prompt = random.ints(1 + random.nextInt(40), 0, 3).toArray();
        if (faulty && random.nextInt(50) == 0) {
            prompt[0] = 497 + random.nextInt(3);
        }
        int n = random.nextInt(5) == 0 ? 2 + random.nextInt(3) : 1;
        int max = random.nextInt(20) == 0 ? 0 : 1 + random.nextInt(45);
        boolean scores = max == 0 || random.nextInt(10) == 0;
        int[] ends = random.nextBoolean() ? random.ints(20, 0, FakeModel.VOCAB).toArray() : new int[0];
        return new GenerationRequest(
                "s",
                prompt,
                params(scores),
                n,
                max,
                random.nextInt(5),
                ends,
                random.nextInt(3),
                random.nextInt(5) == 0 ? "salt" : null);
    }

    /** Half of the requests make the model repeat itself, so that guesses come true. */
    private SamplingParams params(boolean scores) {
        return new SamplingParams(
                1,
                1,
                random.nextInt(2),
                0,
                random.nextInt(4) == 0 ? 1.2f : 1,
                0,
                0,
                random.nextInt(4),
                random.nextInt(3) - 1,
                scores,
                new int[0],
                new float[0]);
    }

    private void step() {
        hand.clock.advance(1_000_000 + random.nextInt(1_000_000));
        if (random.nextInt(5000) == 0) {
            hand.clock.advance(20_000_000_000L);
        }
        hand.turn();
        for (Iterator<Client> i = live.iterator(); i.hasNext(); ) {
            Client client = i.next();
            HandEngine.Reader reader = client.reader;
            act(client);
            if (reader.ended()) {
                verify(client);
                i.remove();
            }
        }
    }

    private void act(Client client) {
        HandEngine.Reader reader = client.reader;
        switch (client.habit) {
            case PROMPT -> reader.read();
            case SLOW -> reader.read(random.nextInt(40) == 0 ? 5 : 0);
            case NEVER -> reader.read(turn - client.since > 2_000 ? 1000 : 0);
        }
        if (random.nextInt(2000) == 0) {
            reader.generation.close();
        } else if (random.nextInt(2000) == 0) {
            reader.generation.end(random.nextInt(reader.request.n()), FinishReason.ABORT);
        }
    }

    private void verify(Client client) {
        HandEngine.Reader reader = client.reader;
        answered++;
        oldest = Math.max(oldest, client.habit == Habit.PROMPT ? turn - client.since : 0);
        String failure = reader.failure;
        if (failure != null) {
            failed++;
            dropped += failure.contains("has not read") ? 1 : 0;
        }
        boolean whole = failure == null;
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
