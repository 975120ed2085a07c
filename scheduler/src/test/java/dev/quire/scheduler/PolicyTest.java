package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Tables of arrivals and the steps that follow. An arrival is {@code name@turn prompt+output[!priority]}; a step lists
 * the rows as {@code name from-to}. The cost of steps is known to be nothing, so chunks are bounded by the budget alone,
 * once a step without prompts has been measured.
 */
class PolicyTest {
    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', quoteCharacter = '"', textBlock = """
    # name                                     | policy   | budget | rows | blocks | arrivals                        | steps
      one alone                                | fcfs     | 8      | 4    | 20     | a@0 3+3                         | a0-3 ; a3-4 ; a4-5
      long prompts come in chunks              | fcfs     | 8      | 4    | 20     | a@0 20+2                        | a0-8 ; a8-16 ; a16-20 ; a20-21
      prompts share a step                     | fcfs     | 8      | 4    | 20     | a@0 3+1, b@0 4+1                | a0-3 b0-4
      a prompt fills what another leaves       | fcfs     | 8      | 4    | 20     | a@0 5+1, b@0 6+1                | a0-5 b0-3 ; b3-6
      a newcomer joins those generating        | fcfs     | 8      | 4    | 20     | a@0 3+7, b@5 4+2                | a0-3 ; a3-4 ; a4-5 ; a5-6 ; a6-7 ; a7-8 b0-4 ; a8-9 b4-5
      no more rows than allowed                | fcfs     | 8      | 1    | 20     | a@0 2+2, b@0 2+1                | a0-2 ; a2-3 ; b0-2
      the youngest gives up its blocks         | fcfs     | 8      | 4    | 4      | a@0 4+8, b@0 4+8                | a0-4 b0-4 ; a4-5 b4-5 ; a5-6 b5-6 ; a6-7 b6-7 ; a7-8 b7-8 ; a8-9 ; a9-10 ; a10-11 ; b4-9 ; b9-10 ; b10-11
      priority runs the urgent first           | priority | 8      | 1    | 20     | a@0 2+1!5, b@0 2+1!1            | b0-2 ; a0-2
      priority takes the row of the less urgent| priority | 8      | 1    | 20     | a@0 2+6!5, b@2 2+2!1            | a0-2 ; a2-3 ; a3-4 ; b0-2 ; b2-3 ; a0-5 ; a5-6 ; a6-7
    """)
    void stepsAreAsPlanned(
            String name, String policy, int budget, int rows, int blocks, String arrivals, String expected) {
        SchedulingPolicy chosen = policy.equals("fcfs") ? new FcfsPolicy() : new PriorityPolicy();
        HandEngine hand = new HandEngine(HandEngine.config().step(budget, rows).build(), chosen, blocks);
        List<String> log = new ArrayList<>();
        hand.runner.log = log;
        Map<Integer, List<GenerationRequest>> byTurn = parse(arrivals);
        int last = byTurn.keySet().stream().mapToInt(Integer::intValue).max().orElse(0);
        List<HandEngine.Reader> readers = new ArrayList<>();
        for (int turn = 0; turn <= last; turn++) {
            for (GenerationRequest request : byTurn.getOrDefault(turn, List.of())) {
                readers.add(hand.submit(request));
            }
            hand.turn();
        }
        hand.run();

        assertThat(String.join(" ; ", log)).as(name).isEqualTo(expected);
        for (HandEngine.Reader reader : readers) {
            assertThat(reader.read().output(0))
                    .isEqualTo(FakeModel.alone(reader.request, 0, reader.request.maxTokens()));
        }
    }

    static Map<Integer, List<GenerationRequest>> parse(String arrivals) {
        Map<Integer, List<GenerationRequest>> byTurn = new HashMap<>();
        for (String arrival : arrivals.split(", ", -1)) {
            String[] parts = arrival.split("[@ +!]", -1);
            int[] prompt = HandEngine.prompt(parts[0].charAt(0), Integer.parseInt(parts[2]));
            long priority = parts.length > 4 ? Long.parseLong(parts[4]) : 0;
            byTurn.computeIfAbsent(Integer.parseInt(parts[1]), _ -> new ArrayList<>())
                    .add(HandEngine.request(prompt, 1, Integer.parseInt(parts[3]), priority));
        }
        return byTurn;
    }

    @Test
    void thoseWhoseTurnNeverComesRise() {
        HandEngine hand =
                new HandEngine(HandEngine.config().step(8, 1).build(), new PriorityPolicy(Duration.ofSeconds(10)), 20);
        hand.submit(HandEngine.request(HandEngine.prompt('a', 2), 3));
        hand.turn();
        HandEngine.Reader patient = hand.submit(HandEngine.request(HandEngine.prompt('b', 2), 1, 3, 2));
        int urgent = 0;
        while (!patient.read().ended()) {
            assertThat(urgent).isLessThan(60);
            hand.submit(HandEngine.request(HandEngine.prompt((char) ('c' + urgent++ % 20), 2), 1, 1, 0));
            hand.clock.advance(1_000_000_000L);
            hand.turn();
        }

        assertThat(urgent).isGreaterThan(20);
        assertThat(hand.finished.stream().filter(r -> r.maxTokens() == 1).count())
                .isGreaterThan(15);
    }

    @Test
    void thoseWhoHaveRisenAreNotPutAsideByTheUrgent() {
        HandEngine hand =
                new HandEngine(HandEngine.config().step(8, 1).build(), new PriorityPolicy(Duration.ofSeconds(10)), 20);
        hand.submit(HandEngine.request(HandEngine.prompt('a', 2), 1, 12, 2));
        hand.turn();
        hand.clock.advance(21_000_000_000L);
        hand.submit(HandEngine.request(HandEngine.prompt('b', 2), 1, 2, 0));
        hand.run();

        assertThat(hand.finished.stream().map(EngineListener.RequestStats::maxTokens))
                .containsExactly(12, 2);
    }

    @Test
    void prioritiesFarApartAreOrderedToo() {
        HandEngine hand = new HandEngine(HandEngine.config().step(8, 1).build(), new PriorityPolicy(), 20);
        hand.submit(HandEngine.request(HandEngine.prompt('a', 2), 1, 1, Long.MAX_VALUE));
        hand.submit(HandEngine.request(HandEngine.prompt('b', 2), 1, 2, Long.MIN_VALUE));
        hand.run();

        assertThat(hand.finished.stream().map(EngineListener.RequestStats::maxTokens))
                .containsExactly(2, 1);
    }
}
