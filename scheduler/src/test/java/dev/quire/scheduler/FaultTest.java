package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.kernels.KernelException;
import org.junit.jupiter.api.Test;

class FaultTest {
    private final HandEngine hand = new HandEngine(HandEngine.CONFIG, new FcfsPolicy(), 64);

    @Test
    void aRowThatBreaksItsBatchEndsItsOwnRequestOnly() {
        HandEngine.Reader good = hand.submit(HandEngine.request(HandEngine.prompt('a', 6), 3, 9, 0));
        HandEngine.Reader bad = hand.submit(HandEngine.request(HandEngine.prompt('b', 6), 9));
        hand.runner.poison = row -> row.tokens()[0] == 'b' && row.to() > 8;
        hand.run();

        assertThat(bad.read().failure).isNotNull();
        assertThat(bad.output(0)).hasSize(3);
        good.read();
        for (int c = 0; c < 3; c++) {
            assertThat(good.output(c)).isEqualTo(FakeModel.alone(good.request, c, 9));
        }
        assertThat(hand.freeBlocks()).isEqualTo(64);
        assertThat(hand.engine.facts().state()).isEqualTo(EngineFacts.State.RUNNING);
    }

    @Test
    void aRefusedRowEndsItsOwnRequestOnly() {
        HandEngine.Reader good = hand.submit(HandEngine.request(HandEngine.prompt('a', 6), 9));
        HandEngine.Reader bad = hand.submit(HandEngine.request(HandEngine.prompt('b', 6), 9));
        hand.runner.unfit = row -> row.tokens()[0] == 'b' && row.to() > 8;
        hand.run();

        assertThat(bad.read().failure).isNotNull();
        assertThat(good.read().output(0)).isEqualTo(FakeModel.alone(good.request, 0, 9));
        assertThat(hand.freeBlocks()).isEqualTo(64);
    }

    @Test
    void logitsThatAreNotFiniteEndTheirOwnRequestOnly() {
        HandEngine.Reader good = hand.submit(HandEngine.request(HandEngine.prompt('a', 6), 9));
        HandEngine.Reader bad = hand.submit(HandEngine.request(HandEngine.prompt('b', 6), 2, 9, 0));
        hand.runner.notFinite = row -> row.tokens()[0] == 'b' && row.to() > 8;
        hand.run();

        assertThat(bad.read().failure).contains("not finite");
        assertThat(good.read().output(0)).isEqualTo(FakeModel.alone(good.request, 0, 9));
        assertThat(hand.freeBlocks()).isEqualTo(64);
    }

    @Test
    void scoresThatAreNotFiniteFailTheirRequestBeforeAnyIsTold() {
        HandEngine.Reader good = hand.submit(HandEngine.request(HandEngine.prompt('a', 6), 9));
        HandEngine.Reader bad = hand.submit(new GenerationRequest(
                "s", HandEngine.prompt('b', 6), HandEngine.params(1, false, 2, true), 1, 3, 0, new int[0], 0, null));
        hand.runner.notFinite = row -> row.tokens()[0] == 'b';
        hand.run();

        assertThat(bad.read().failure).contains("not finite");
        assertThat(bad.scores).isEmpty();
        assertThat(good.read().output(0)).isEqualTo(FakeModel.alone(good.request, 0, 9));
        assertThat(hand.freeBlocks()).isEqualTo(64);
    }

    @Test
    void aDeviceThatHiccupsOnceLosesNobody() {
        HandEngine.Reader a = hand.submit(HandEngine.request(HandEngine.prompt('a', 6), 2, 9, 0));
        HandEngine.Reader b = hand.submit(HandEngine.request(HandEngine.prompt('b', 6), 9));
        int[] awaits = {0};
        hand.runner.atAwait = () -> {
            if (awaits[0]++ == 3) {
                throw new KernelException("fake", -5, "hiccup");
            }
        };
        hand.run();

        assertThat(a.read().output(1)).isEqualTo(FakeModel.alone(a.request, 1, 9));
        assertThat(b.read().output(0)).isEqualTo(FakeModel.alone(b.request, 0, 9));
    }

    @Test
    void aDeviceThatFailsAgainAndAgainEndsTheEngineAndAnswersEverybody() {
        HandEngine.Reader[] readers = new HandEngine.Reader[20];
        for (int i = 0; i < readers.length; i++) {
            readers[i] = hand.submit(HandEngine.request(HandEngine.prompt((char) ('a' + i), 40), 9));
        }
        hand.runner.atAwait = () -> {
            throw new KernelException("fake", -5, "gone");
        };
        hand.engine.loop().run();

        for (HandEngine.Reader reader : readers) {
            assertThat(reader.read().failure).isNotNull();
        }
        assertThat(hand.engine.facts().state()).isEqualTo(EngineFacts.State.DEAD);
        assertThat(hand.engine.facts().unfinished()).isZero();
        Refusal refusal = hand.refusal(HandEngine.request(HandEngine.prompt('x', 2), 1));
        assertThat(refusal.reason()).isEqualTo(Refusal.Reason.ENGINE_DEAD);
    }

    @Test
    void poisonedRequestsOneAfterTheOtherDoNotEndTheEngineWhileOthersAreServed() {
        HandEngine.Reader good = hand.submit(HandEngine.request(HandEngine.prompt('a', 6), 60));
        hand.runner.poison = row -> row.tokens()[0] > 'a';
        for (int i = 1; i < 10; i++) {
            hand.submit(HandEngine.request(HandEngine.prompt((char) ('a' + i), 40), 9));
            hand.turn();
        }
        hand.run();

        assertThat(good.read().output(0)).isEqualTo(FakeModel.alone(good.request, 0, 60));
    }

    @Test
    void aStepThatTakesTooLongShowsAsStalled() {
        HandEngine.Reader r = hand.submit(HandEngine.request(HandEngine.prompt('a', 6), 9));
        for (int i = 0; i < 5; i++) {
            hand.clock.advance(1_000_000);
            hand.turn();
        }
        EngineFacts[] seen = new EngineFacts[1];
        hand.runner.atAwait = () -> {
            hand.clock.advance(9_000_000_000L);
            assertThat(hand.engine.facts().state()).isEqualTo(EngineFacts.State.RUNNING);
            hand.clock.advance(2_000_000_000L);
            seen[0] = hand.engine.facts();
            assertThat(hand.refusal(HandEngine.request(HandEngine.prompt('b', 2), 1))
                            .reason())
                    .isEqualTo(Refusal.Reason.ENGINE_DEAD);
            hand.runner.atAwait = () -> {};
        };
        hand.run();

        assertThat(seen[0].state()).isEqualTo(EngineFacts.State.STALLED);
        assertThat(seen[0].healthy()).isFalse();
        assertThat(hand.engine.facts().state()).isEqualTo(EngineFacts.State.RUNNING);
        assertThat(r.read().output(0)).hasSize(9);
    }

    @Test
    void aStepThatIsRunInPartsIsNoStall() {
        for (int i = 0; i < 8; i++) {
            hand.submit(HandEngine.request(HandEngine.prompt((char) ('a' + i), 6), 9));
        }
        hand.runner.poison = row -> row.to() == 8;
        boolean[] stalled = {false};
        hand.runner.atAwait = () -> {
            hand.clock.advance(2_000_000_000L);
            stalled[0] |= !hand.engine.facts().healthy();
        };
        hand.run();

        assertThat(hand.finished).hasSize(8).allMatch(r -> r.finish() == FinishReason.ERROR);
        assertThat(stalled[0]).isFalse();
    }

    @Test
    void aBadRowIsFoundByHalving() {
        for (int i = 0; i < 16; i++) {
            hand.submit(HandEngine.request(HandEngine.prompt((char) ('a' + i), 4), 3));
        }
        hand.turn();
        hand.runner.poison = row -> row.tokens()[0] == 'f' && row.to() == 5;
        hand.run();

        assertThat(hand.finished.stream().filter(r -> r.finish() == FinishReason.ERROR))
                .hasSize(1);
        assertThat(hand.runner.steps).isLessThanOrEqualTo(3 + 2 * 4);
    }

    @Test
    void batchesThatAreRefusedStepAfterStepAreServedInParts() {
        HandEngine wide = new HandEngine(HandEngine.CONFIG, new FcfsPolicy(), 1000);
        HandEngine.Reader a = wide.submit(HandEngine.request(HandEngine.prompt('a', 6), 1500));
        HandEngine.Reader b = wide.submit(HandEngine.request(HandEngine.prompt('b', 6), 1500));
        wide.runner.roomForRows = 1;
        while (wide.turn()) {
            a.read();
            b.read();
        }

        assertThat(a.read().output(0)).isEqualTo(FakeModel.alone(a.request, 0, 1500));
        assertThat(b.read().output(0)).isEqualTo(FakeModel.alone(b.request, 0, 1500));
    }
}
