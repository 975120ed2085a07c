package dev.quire.scheduler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.kernels.KernelException;
import org.junit.jupiter.api.Test;

/** Blocks that leave the device for the host and come back. */
class HostTierTest {
    private final HandEngine hand =
            new HandEngine(HandEngine.CONFIG, new FcfsPolicy(), FakeRunner.limits(64, 16, 12, 40));

    private HandEngine.Reader serve(char name) {
        HandEngine.Reader reader = hand.submit(HandEngine.request(HandEngine.prompt(name, 33), 9));
        hand.run();
        assertThat(reader.read().output(0)).isEqualTo(FakeModel.alone(reader.request, 0, 9));
        return reader;
    }

    private static int cached(HandEngine.Reader reader) {
        Usage usage = reader.usage;
        return usage == null ? -1 : usage.cachedTokens();
    }

    @Test
    void aPromptThatWasPushedOutComesBackWithoutBeingComputed() {
        assertThat(cached(serve('a'))).isZero();
        serve('b');
        serve('c');
        HandEngine.Reader again = serve('a');

        assertThat(cached(again)).isEqualTo(32);
        assertThat(hand.runner.swappedIn).isEqualTo(8);
        assertThat(hand.steps.stream()
                        .mapToInt(EngineListener.StepStats::swappedIn)
                        .sum())
                .isEqualTo(8);
        assertThat(hand.steps.stream()
                        .mapToInt(EngineListener.StepStats::hostCachedTokens)
                        .sum())
                .isEqualTo(32);
        assertThat(hand.freeBlocks()).isEqualTo(12);
    }

    @Test
    void whatAFailedStepSwappedInIsComputedAgain() {
        serve('a');
        serve('b');
        serve('c');
        int[] failures = {0};
        int before = hand.runner.swappedIn;
        hand.runner.atAwait = () -> {
            if (hand.runner.swappedIn > before && failures[0]++ == 0) {
                throw new KernelException("fake", -5, "hiccup");
            }
        };
        serve('a');

        assertThat(failures[0]).isPositive();
        assertThat(hand.freeBlocks()).isEqualTo(12);
        assertThat(hand.engine.facts().kvRepairs()).isZero();
    }
}
