package dev.quire.scheduler;

import dev.quire.model.ModelRunner;
import dev.quire.model.sampling.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** An engine turned by hand, and the requests given to it. */
final class HandEngine {
    static final EngineConfig CONFIG = config().build();

    /** Steps that a test can reason about. */
    static EngineConfig.Builder config() {
        return new EngineConfig.Builder().step(64, 16);
    }

    final ManualClock clock;
    final FakeRunner runner;
    final Engine engine;
    final List<EngineListener.StepStats> steps = new ArrayList<>();
    final List<EngineListener.RequestStats> finished = new ArrayList<>();

    HandEngine(EngineConfig config, SchedulingPolicy policy, int kvBlocks) {
        this(config, policy, kvBlocks, new ManualClock());
    }

    HandEngine(EngineConfig config, SchedulingPolicy policy, int kvBlocks, ManualClock clock) {
        this(config, policy, FakeRunner.limits(config.maxBatchedTokens(), config.maxSequences(), kvBlocks), clock);
    }

    HandEngine(EngineConfig config, SchedulingPolicy policy, ModelRunner.Limits limits) {
        this(config, policy, limits, new ManualClock());
    }

    HandEngine(EngineConfig config, SchedulingPolicy policy, ModelRunner.Limits limits, ManualClock clock) {
        this.clock = clock;
        runner = new FakeRunner(limits);
        engine = new Engine(
                runner,
                config,
                policy,
                new EngineListener() {
                    @Override
                    public void onStep(StepStats step) {
                        steps.add(step);
                    }

                    @Override
                    public void onFinish(RequestStats request) {
                        finished.add(request);
                    }
                },
                clock);
    }

    /** What a request has brought so far. */
    static final class Reader {
        final GenerationRequest request;
        final Generation generation;
        final List<List<Integer>> tokens = new ArrayList<>();
        final List<@Nullable FinishReason> finishes = new ArrayList<>();
        final List<TokenEvent.Scored> scores = new ArrayList<>();

        @Nullable
        Usage usage;

        @Nullable
        String failure;

        Reader(GenerationRequest request, Generation generation) {
            this.request = request;
            this.generation = generation;
            for (int i = 0; i < request.n(); i++) {
                tokens.add(new ArrayList<>());
                finishes.add(null);
            }
        }

        /** Reads up to so many events. */
        Reader read(int most) {
            for (int i = 0; i < most && !ended(); i++) {
                TokenEvent event = generation.poll();
                if (event == null) {
                    return this;
                }
                take(event);
            }
            return this;
        }

        Reader read() {
            return read(Integer.MAX_VALUE);
        }

        void take(TokenEvent event) {
            switch (event) {
                case TokenEvent.Token(int choice, TokenEvent.Scored token, FinishReason finish) -> {
                    if (finishes.get(choice) != null) {
                        throw new AssertionError("a token after the end of choice " + choice);
                    }
                    tokens.get(choice).add(token.id());
                    finishes.set(choice, finish);
                }
                case TokenEvent.PromptScores(int first, TokenEvent.Scored[] more) -> {
                    if (first != scores.size() + 1) {
                        throw new AssertionError("scores from " + first + " after " + scores.size());
                    }
                    scores.addAll(List.of(more));
                }
                case TokenEvent.ChoiceEnded(int choice, FinishReason finish) -> finishes.set(choice, finish);
                case TokenEvent.Finished(Usage used) -> usage = used;
                case TokenEvent.Failed(String message) -> failure = message;
            }
        }

        boolean ended() {
            return usage != null || failure != null;
        }

        int[] output(int choice) {
            return tokens.get(choice).stream().mapToInt(Integer::intValue).toArray();
        }
    }

    /** A prompt of so many tokens that begins with a letter. */
    static int[] prompt(char name, int length) {
        return IntStream.range(0, length)
                .map(i -> i == 0 ? name : (name * 31 + i * 7) % 500)
                .toArray();
    }

    static GenerationRequest request(int[] prompt, int maxTokens) {
        return request(prompt, 1, maxTokens, 0);
    }

    static GenerationRequest request(int[] prompt, int n, int maxTokens, long priority) {
        return new GenerationRequest(
                "r" + prompt[0], prompt, SamplingParams.GREEDY, n, maxTokens, 0, new int[0], priority, null);
    }

    static SamplingParams params(long seed, boolean penalties, int logprobs, boolean promptLogprobs) {
        return new SamplingParams(
                1, 1, 0, 0, penalties ? 1.2f : 1, 0, 0, seed, logprobs, promptLogprobs, new int[0], new float[0]);
    }

    Reader submit(GenerationRequest request) {
        return switch (engine.submit(request)) {
            case Engine.Submission.Accepted(Generation generation) -> new Reader(request, generation);
            case Engine.Submission.Rejected(Refusal refusal) -> throw new AssertionError(refusal.toString());
        };
    }

    Refusal refusal(GenerationRequest request) {
        return switch (engine.submit(request)) {
            case Engine.Submission.Accepted _ -> throw new AssertionError("accepted");
            case Engine.Submission.Rejected(Refusal refusal) -> refusal;
        };
    }

    /** One turn of the engine, and a check of its books. */
    boolean turn() {
        boolean more = engine.loop().turn();
        check(engine.loop().state);
        return more;
    }

    private static void check(EngineState state) {
        String fault = state.checkBlocks();
        if (fault != null) {
            throw new AssertionError(fault);
        }
        int choices = 0;
        int sequences = 0;
        long prompts = 0;
        for (ActiveRequest request : state.requests) {
            choices += request.live;
            prompts += request.inPrefill ? request.spec.prompt().length : 0;
            for (Sequence sequence : request.choices) {
                sequences += sequence != null && sequence.state != Sequence.State.ENDED ? 1 : 0;
            }
        }
        require(choices, state.gate.sequences(), "choices that count");
        require(prompts, state.gate.promptTokens(), "prompt tokens that count");
        require(sequences, state.running.size() + state.waiting.size(), "sequences that run or wait");
    }

    private static void require(long expected, long actual, String what) {
        if (expected != actual) {
            throw new AssertionError(what + ": " + actual + ", not " + expected);
        }
    }

    /** Turns until nothing is left to do. */
    void run() {
        for (int i = 0; i < 100_000; i++) {
            if (!turn()) {
                return;
            }
        }
        throw new AssertionError("no end");
    }

    int freeBlocks() {
        return engine.loop().state.cache.available();
    }
}
