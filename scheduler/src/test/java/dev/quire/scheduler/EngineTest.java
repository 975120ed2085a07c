package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.model.ModelRunner;
import dev.quire.model.sampling.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class EngineTest {
    private final HandEngine hand = new HandEngine(HandEngine.CONFIG, new FcfsPolicy(), 64);

    @Test
    void generatesWhatTheModelSaysUntilMaxTokens() {
        HandEngine.Reader r = hand.submit(HandEngine.request(HandEngine.prompt('a', 10), 5));
        hand.run();
        r.read();

        assertThat(r.output(0)).isEqualTo(FakeModel.alone(r.request, 0, 5)).hasSize(5);
        assertThat(r.finishes).containsExactly(FinishReason.LENGTH);
        assertThat(r.usage).isEqualTo(new Usage(10, 5, 0));
        assertThat(hand.freeBlocks()).isEqualTo(64);
    }

    @Test
    void theLastTokenIsNeverComputed() {
        hand.runner.log = new ArrayList<>();
        hand.submit(HandEngine.request(HandEngine.prompt('a', 3), 3));
        hand.run();

        assertThat(hand.runner.log).containsExactly("a0-3", "a3-4", "a4-5");
    }

    @Test
    void endsAtAnEndTokenWhichIsTheLastToken() {
        int[] prompt = HandEngine.prompt('a', 4);
        int[] all = FakeModel.alone(HandEngine.request(prompt, 6), 0, 6);
        HandEngine.Reader r = hand.submit(
                new GenerationRequest("x", prompt, SamplingParams.GREEDY, 1, 6, 0, new int[] {all[2]}, 0, null));
        hand.run();

        assertThat(r.read().output(0)).containsExactly(all[0], all[1], all[2]);
        assertThat(r.finishes).containsExactly(FinishReason.STOP);
        assertThat(hand.freeBlocks()).isEqualTo(64);
    }

    @Test
    void minTokensForbidsEndTokensBefore() {
        int[] prompt = HandEngine.prompt('a', 4);
        int[] all = FakeModel.alone(HandEngine.request(prompt, 6), 0, 6);
        HandEngine.Reader r = hand.submit(new GenerationRequest(
                "x", prompt, dev.quire.model.sampling.SamplingParams.GREEDY, 1, 6, 4, new int[] {all[2]}, 0, null));
        hand.run();

        assertThat(r.read().output(0)).hasSizeGreaterThanOrEqualTo(4).startsWith(all[0], all[1], all[2] + 1);
        assertThat(r.output(0)).isEqualTo(FakeModel.alone(r.request, 0, 6));
    }

    @Test
    void severalChoicesShareOnePromptComputation() {
        hand.runner.log = new ArrayList<>();
        HandEngine.Reader r = hand.submit(HandEngine.request(HandEngine.prompt('a', 10), 3, 6, 0));
        hand.run();
        r.read();

        assertThat(hand.runner.log.getFirst()).isEqualTo("a0-10");
        assertThat(hand.runner.log.stream().filter(s -> s.contains("a0-"))).hasSize(1);
        for (int c = 0; c < 3; c++) {
            assertThat(r.output(c)).isEqualTo(FakeModel.alone(r.request, c, 6));
        }
        assertThat(r.output(0)).isNotEqualTo(r.output(1));
        assertThat(r.usage).isEqualTo(new Usage(10, 18, 0));
        assertThat(hand.freeBlocks()).isEqualTo(64);
    }

    @Test
    void aKnownPrefixIsNotComputedAgain() {
        int[] prompt = HandEngine.prompt('a', 17);
        hand.submit(HandEngine.request(prompt, 2));
        hand.run();
        hand.runner.log = new ArrayList<>();
        HandEngine.Reader again = hand.submit(HandEngine.request(prompt, 2));
        hand.run();

        assertThat(hand.runner.log.getFirst()).isEqualTo("a16-17");
        assertThat(again.read().usage).isEqualTo(new Usage(17, 2, 16));
        assertThat(again.output(0)).isEqualTo(FakeModel.alone(again.request, 0, 2));
    }

    @Test
    void promptScoresComeInOrderAndWithoutThePrefixCache() {
        ModelRunner.Limits limits = new ModelRunner.Limits(64, 16, 4096, 5, 48, 4096, 64, 4);
        HandEngine few = new HandEngine(HandEngine.CONFIG, new FcfsPolicy(), limits);
        int[] prompt = HandEngine.prompt('a', 18);
        few.submit(HandEngine.request(prompt, 2));
        few.run();
        HandEngine.Reader r = few.submit(
                new GenerationRequest("s", prompt, HandEngine.params(1, false, 2, true), 2, 3, 0, new int[0], 0, null));
        few.run();
        r.read();

        assertThat(r.scores.stream().map(TokenEvent.Scored::id))
                .containsExactlyElementsOf(IntStream.of(prompt).skip(1).boxed().toList());
        long prefix = 0;
        for (int i = 0; i < 17; i++) {
            prefix = FakeModel.extend(prefix, prompt[i]);
            assertThat(r.scores.get(i).logprob()).isEqualTo(FakeModel.logprob(prefix, prompt[i + 1]));
            assertThat(r.scores.get(i).topIds()).hasSize(2);
        }
        assertThat(r.usage).isEqualTo(new Usage(18, 6, 0));
        assertThat(r.output(1)).isEqualTo(FakeModel.alone(r.request, 1, 3));
    }

    @Test
    void drawsWhoseListsDoNotFitAStepTakeTurns() {
        ModelRunner.Limits limits = new ModelRunner.Limits(64, 16, 4096, 5, 48, 40, 64, 4);
        HandEngine few = new HandEngine(HandEngine.CONFIG, new FcfsPolicy(), limits);
        SamplingParams penalised = new SamplingParams(0, 1, 0, 0, 1.1f, 0, 0, 1, -1, false, new int[0], new float[0]);
        List<HandEngine.Reader> readers = new ArrayList<>();
        for (char first = 'a'; first < 'e'; first++) {
            readers.add(few.submit(
                    new GenerationRequest("p", HandEngine.prompt(first, 12), penalised, 1, 4, 0, new int[0], 0, null)));
        }
        List<Integer> listed = new ArrayList<>();
        few.runner.onLaunch = batch -> listed.add(batch.rows().stream()
                .flatMap(row -> row.samples().stream())
                .mapToInt(draw -> draw.counts() == null ? 0 : draw.counts().size())
                .sum());
        few.run();

        assertThat(listed).allMatch(n -> n <= 40).anyMatch(n -> n > 20);
        assertThat(readers).allSatisfy(r -> assertThat(r.read().output(0)).hasSize(4));
        assertThat(few.engine.submit(new GenerationRequest(
                        "p", HandEngine.prompt('a', 12), penalised, 3, 4, 0, new int[0], 0, null)))
                .isInstanceOfSatisfying(
                        Engine.Submission.Rejected.class,
                        no -> assertThat(no.refusal().message()).contains("48").contains("40"));
    }

    @Test
    void maxTokensZeroOnlyScores() {
        int[] prompt = HandEngine.prompt('a', 9);
        HandEngine.Reader r = hand.submit(
                new GenerationRequest("s", prompt, HandEngine.params(1, false, 0, true), 2, 0, 0, new int[0], 0, null));
        hand.run();
        r.read();

        assertThat(r.scores).hasSize(8);
        assertThat(r.finishes).containsExactly(FinishReason.LENGTH, FinishReason.LENGTH);
        assertThat(r.usage).isEqualTo(new Usage(9, 0, 0));
        assertThat(hand.freeBlocks()).isEqualTo(64);
    }

    @Test
    void outputIsCutAtTheContextAndLongerPromptsAreRefused() {
        ModelRunner.Limits limits = new ModelRunner.Limits(64, 16, 20, 5, 48, 4096, 64, 4);
        HandEngine small = new HandEngine(HandEngine.CONFIG, new FcfsPolicy(), limits);
        HandEngine.Reader r = small.submit(HandEngine.request(HandEngine.prompt('a', 15), 100));
        small.run();

        assertThat(r.read().output(0)).hasSize(5);
        Refusal refusal = small.refusal(HandEngine.request(HandEngine.prompt('a', 20), 1));
        assertThat(refusal.reason()).isEqualTo(Refusal.Reason.TOO_LONG);
        assertThat(refusal.message()).contains("20 tokens").contains("at most 19");
        assertThat(refusal.retryAfterSeconds()).isZero();
        assertThat(small.engine.facts().unfinished()).isZero();
    }

    @Test
    void aPromptLargerThanTheCacheIsRefusedAtOnce() {
        HandEngine tiny = new HandEngine(HandEngine.CONFIG, new FcfsPolicy(), 3);

        assertThat(tiny.refusal(HandEngine.request(HandEngine.prompt('a', 12), 1))
                        .reason())
                .isEqualTo(Refusal.Reason.TOO_LONG);
        HandEngine.Reader fits = tiny.submit(HandEngine.request(HandEngine.prompt('a', 11), 9));
        tiny.run();
        assertThat(fits.read().output(0)).hasSize(1);
    }

    @Test
    void theQueueIsBoundedInSequencesAndInTokens() {
        HandEngine one = new HandEngine(HandEngine.config().queue(3, 0).build(), new FcfsPolicy(), 64);
        HandEngine.Reader r = one.submit(HandEngine.request(HandEngine.prompt('a', 5), 2, 2, 0));
        Refusal refusal = one.refusal(HandEngine.request(HandEngine.prompt('b', 5), 2, 2, 0));
        assertThat(refusal.reason()).isEqualTo(Refusal.Reason.OVERLOADED);
        assertThat(refusal.retryAfterSeconds()).isPositive();
        one.run();
        assertThat(r.read().usage).isNotNull();
        one.submit(HandEngine.request(HandEngine.prompt('b', 5), 3, 2, 0));

        HandEngine two = new HandEngine(HandEngine.config().queue(0, 10).build(), new FcfsPolicy(), 64);
        two.submit(HandEngine.request(HandEngine.prompt('a', 9), 9));
        two.submit(HandEngine.request(HandEngine.prompt('b', 9), 9));
        assertThat(two.refusal(HandEngine.request(HandEngine.prompt('c', 1), 1)).reason())
                .isEqualTo(Refusal.Reason.OVERLOADED_TOKENS);
        two.turn();
        two.turn();
        two.submit(HandEngine.request(HandEngine.prompt('c', 1), 1));
    }

    @Test
    void closingFreesTheBlocksInTheNextStep() {
        HandEngine.Reader running = hand.submit(HandEngine.request(HandEngine.prompt('a', 30), 3, 50, 0));
        HandEngine.Reader other = hand.submit(HandEngine.request(HandEngine.prompt('b', 9), 5));
        for (int i = 0; i < 5; i++) {
            hand.turn();
        }
        running.generation.close();
        running.generation.close();
        hand.turn();

        assertThat(hand.engine.facts().running()).isLessThanOrEqualTo(1);
        hand.run();
        assertThat(running.read().finishes).containsExactly(FinishReason.ABORT, FinishReason.ABORT, FinishReason.ABORT);
        assertThat(other.read().output(0)).isEqualTo(FakeModel.alone(other.request, 0, 5));
        assertThat(hand.freeBlocks()).isEqualTo(64);
    }

    @Test
    void closingBeforeTheFirstTokenOrWhileQueuedAnswersToo() {
        HandEngine.Reader queued = hand.submit(HandEngine.request(HandEngine.prompt('a', 30), 50));
        queued.generation.close();
        hand.run();
        assertThat(queued.read().usage).isEqualTo(new Usage(30, 0, 0));

        HandEngine.Reader early = hand.submit(HandEngine.request(HandEngine.prompt('b', 30), 2, 50, 0));
        hand.turn();
        early.generation.close();
        hand.run();
        assertThat(early.read().finishes).containsExactly(FinishReason.ABORT, FinishReason.ABORT);
        assertThat(hand.freeBlocks()).isEqualTo(64);
        assertThat(hand.engine.facts().unfinished()).isZero();
    }

    @Test
    void abortingOneChoiceLeavesTheOthers() {
        HandEngine.Reader r = hand.submit(HandEngine.request(HandEngine.prompt('a', 10), 3, 8, 0));
        r.generation.end(0, FinishReason.ABORT);
        hand.turn();
        hand.turn();
        hand.turn();
        r.generation.end(2, FinishReason.ABORT);
        hand.run();
        r.read();

        assertThat(r.finishes).containsExactly(FinishReason.ABORT, FinishReason.LENGTH, FinishReason.ABORT);
        assertThat(r.output(1)).isEqualTo(FakeModel.alone(r.request, 1, 8));
        assertThat(hand.freeBlocks()).isEqualTo(64);
    }

    @Test
    void penaltiesSeeThePromptAndTheOutput() {
        HandEngine.Reader r = hand.submit(new GenerationRequest(
                "p", HandEngine.prompt('a', 7), HandEngine.params(3, true, -1, false), 2, 9, 0, new int[0], 0, null));
        hand.run();
        r.read();

        assertThat(r.output(0)).isEqualTo(FakeModel.alone(r.request, 0, 9));
        assertThat(r.output(1)).isEqualTo(FakeModel.alone(r.request, 1, 9));
    }

    @Test
    void aSlowReaderIsPausedAndOthersGoOn() {
        HandEngine.Reader slow = hand.submit(HandEngine.request(HandEngine.prompt('a', 5), 200));
        HandEngine.Reader quick = hand.submit(HandEngine.request(HandEngine.prompt('b', 5), 200));
        for (int i = 0; i < 210; i++) {
            hand.turn();
            quick.read();
        }
        assertThat(quick.usage).isNotNull();
        assertThat(slow.read(40).output(0)).hasSize(40);
        assertThat(hand.turn()).isTrue();
        while (!slow.ended()) {
            hand.turn();
            slow.read();
        }
        assertThat(slow.output(0)).isEqualTo(FakeModel.alone(slow.request, 0, 200));
    }

    @Test
    void aReaderThatNeverReadsIsDroppedAfterAMinute() {
        HandEngine.Reader slow = hand.submit(HandEngine.request(HandEngine.prompt('a', 5), 200));
        while (hand.turn()) {
            hand.clock.advance(1000);
        }
        assertThat(hand.freeBlocks()).isLessThan(64);
        hand.clock.advance(59_000_000_000L);
        hand.turn();
        assertThat(hand.freeBlocks()).isLessThan(64);
        hand.clock.advance(2_000_000_000L);
        hand.turn();

        assertThat(hand.freeBlocks()).isEqualTo(64);
        assertThat(slow.read().failure).contains("has not read for 60 seconds");
    }

    @Test
    void statisticsAddUp() {
        HandEngine.Reader r = hand.submit(HandEngine.request(HandEngine.prompt('a', 10), 2, 4, 0));
        for (boolean more = true; more; ) {
            hand.clock.advance(1_000);
            more = hand.turn();
        }
        assertThat(r.read().usage).isNotNull();
        assertThat(hand.steps.stream()
                        .mapToInt(EngineListener.StepStats::drawnTokens)
                        .sum())
                .isEqualTo(8);
        assertThat(hand.steps.getLast().kvUsedBlocks()).isZero();
        assertThat(hand.steps.getLast().running()).isZero();
        EngineListener.RequestStats stats = hand.finished.getFirst();
        assertThat(stats.usage()).isEqualTo(new Usage(10, 8, 0));
        assertThat(stats.longestChoice()).isEqualTo(4);
        assertThat(stats.queueNanos() + stats.prefillNanos()).isEqualTo(stats.firstTokenNanos());
        assertThat(stats.firstTokenNanos() + stats.decodeNanos()).isEqualTo(stats.totalNanos());
        assertThat(stats.finish()).isEqualTo(FinishReason.LENGTH);
    }

    @Test
    void drainRefusesNewRequestsAndFinishesOldOnes() throws Exception {
        HandEngine.Reader r = hand.submit(HandEngine.request(HandEngine.prompt('a', 10), 4));
        assertThat(hand.engine.drain(java.time.Duration.ZERO)).isFalse();
        assertThat(hand.refusal(HandEngine.request(HandEngine.prompt('b', 1), 1))
                        .reason())
                .isEqualTo(Refusal.Reason.DRAINING);
        hand.run();
        assertThat(r.read().output(0)).hasSize(4);
        assertThat(hand.engine.drain(java.time.Duration.ZERO)).isTrue();
    }

    @Test
    void closingAnswersEverybody() {
        HandEngine.Reader running = hand.submit(HandEngine.request(HandEngine.prompt('a', 10), 40));
        hand.turn();
        HandEngine.Reader queued = hand.submit(HandEngine.request(HandEngine.prompt('b', 10), 40));
        hand.engine.close();
        hand.engine.loop().run();

        assertThat(List.of(running.read().failure + "", queued.read().failure + ""))
                .allMatch(s -> s.contains("shutting down"));
        assertThat(hand.engine.facts().state()).isEqualTo(EngineFacts.State.DEAD);
        assertThat(hand.refusal(HandEngine.request(HandEngine.prompt('c', 1), 1))
                        .reason())
                .isEqualTo(Refusal.Reason.DRAINING);
    }

    @Test
    void tokensAreDatedWhenTheDeviceHasAnswered() {
        hand.runner.atAwait = () -> hand.clock.advance(100_000_000);
        hand.submit(HandEngine.request(HandEngine.prompt('a', 10), 3));
        hand.run();

        EngineListener.RequestStats stats = hand.finished.getFirst();
        assertThat(stats.queueNanos()).isZero();
        assertThat(stats.firstTokenNanos()).isEqualTo(100_000_000);
        assertThat(stats.decodeNanos()).isEqualTo(200_000_000);
        assertThat(stats.totalNanos()).isEqualTo(300_000_000);
    }

    @Test
    void aSleeperKeepsItsBlocksWhileOnlyRowsAreMissing() {
        HandEngine one = new HandEngine(HandEngine.config().step(64, 1).build(), new FcfsPolicy(), 400);
        HandEngine.Reader slow = one.submit(HandEngine.request(HandEngine.prompt('a', 5), 200));
        HandEngine.Reader quick = one.submit(HandEngine.request(HandEngine.prompt('b', 5), 300));
        HandEngine.Reader newcomer = one.submit(HandEngine.request(HandEngine.prompt('c', 5), 2));
        while (!newcomer.ended()) {
            one.turn();
            quick.read();
            newcomer.read();
        }

        assertThat(quick.ended()).isTrue();
        assertThat(one.steps).allMatch(step -> step.preemptions() == 0);
        while (!slow.ended()) {
            one.turn();
            slow.read();
        }
        assertThat(slow.output(0)).isEqualTo(FakeModel.alone(slow.request, 0, 200));
    }

    @Test
    void aSleeperThatHoldsAllBlocksDoesNotKeepANewcomerOut() {
        HandEngine tiny = new HandEngine(HandEngine.CONFIG, new FcfsPolicy(), 20);
        HandEngine.Reader slow = tiny.submit(HandEngine.request(HandEngine.prompt('a', 5), 75));
        for (int i = 0; i < 80; i++) {
            tiny.turn();
        }
        assertThat(tiny.freeBlocks()).isLessThan(5);
        HandEngine.Reader newcomer = tiny.submit(HandEngine.request(HandEngine.prompt('b', 40), 40));
        for (int i = 0; i < 50; i++) {
            tiny.turn();
        }
        assertThat(newcomer.read().output(0)).hasSize(40);

        while (!slow.ended()) {
            slow.read();
            tiny.turn();
        }
        assertThat(slow.output(0)).isEqualTo(FakeModel.alone(slow.request, 0, 75));
    }

    /** An engine with a stream whose steps are known, so that prompts may join them. */
    private HandEngine.Reader streaming() {
        HandEngine.Reader stream = hand.submit(HandEngine.request(HandEngine.prompt('a', 3), 60));
        for (int i = 0; i < 20; i++) {
            hand.turn();
            stream.read();
        }
        return stream;
    }

    @Test
    void whoComesWhileAStepIsComputedIsInTheNext() {
        HandEngine.Reader stream = streaming();
        List<String> log = new ArrayList<>();
        hand.runner.log = log;
        hand.runner.atAwait = () -> {
            hand.runner.atAwait = () -> {};
            hand.submit(HandEngine.request(HandEngine.prompt('b', 2), 1));
        };
        hand.turn();

        assertThat(log).hasSize(1);
        assertThat(log.getFirst()).contains("b0-2");
        assertThat(stream.ended()).isFalse();
    }

    @Test
    void readersAreToldWhenTheDeviceHasItsNextStep() {
        HandEngine.Reader stream = streaming();
        List<Boolean> busy = new ArrayList<>();
        stream.generation.onNews(() -> busy.add(hand.runner.inFlight > 0));
        for (int i = 0; i < 5; i++) {
            hand.turn();
            stream.read();
        }

        assertThat(busy).hasSize(5).doesNotContain(false);
    }
}
