package dev.quire.server.openai;

import dev.quire.scheduler.TextEvent;
import dev.quire.scheduler.TextRequest;
import dev.quire.scheduler.Usage;
import dev.quire.server.http.Endpoint;
import dev.quire.server.http.Exchange;
import dev.quire.server.http.Reply;
import dev.quire.server.http.SseEvents;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonGenerator;

/** {@code POST /v1/completions}: text that goes on from one or more prompts. */
public final class CompletionsEndpoint implements Endpoint {
    private static final int DEFAULT_MAX_TOKENS = 16;
    private static final String OBJECT = "text_completion";

    private final ApiSurface api;

    public CompletionsEndpoint(ApiSurface api) {
        this.api = api;
    }

    /**
     * A request, checked.
     *
     * @param logprobs -1 = none
     */
    private record Call(
            ServedModel model,
            AnswerHead head,
            Sampling sampling,
            List<Prompt> prompts,
            boolean echo,
            int maxTokens,
            int logprobs) {}

    @Override
    public void handle(Exchange exchange) throws InterruptedException {
        Call call = read(exchange, api.slot().require());
        List<TextRequest> requests = IntStream.range(0, call.prompts().size())
                .mapToObj(i -> request(call, i))
                .toList();
        try (Generations generations = Generations.start(call.model(), requests, exchange, api.live())) {
            int promptTokens =
                    call.prompts().stream().mapToInt(p -> p.ids().length).sum();
            Answers answers = new Answers(generations, api, call.sampling().n(), promptTokens);
            if (call.sampling().stream()) {
                answers.stream(exchange, new Chunks(call), call.sampling());
            } else {
                exchange.reply(Reply.json(200, whole(call, answers.whole())));
            }
        }
    }

    private static Call read(Exchange exchange, ServedModel model) {
        Fields body = Json.object(exchange);
        model.requireName(body.string("model"));
        Sampling sampling = Sampling.read(body, model, exchange.header("X-Vllm-Priority"));
        if (body.has("suffix")) {
            throw ApiError.unsupported("suffix", "suffix is not supported: the model has no fill-in-the-middle form.");
        }
        boolean echo = body.bool("echo", false);
        int maxTokens = (int) body.integer("max_tokens", echo ? 0 : 1, model.maxModelLen(), DEFAULT_MAX_TOKENS);
        if (sampling.minTokens() > maxTokens) {
            throw ApiError.invalid(
                    "min_tokens",
                    "min_tokens must be at most max_tokens, which is " + maxTokens + ".",
                    sampling.minTokens());
        }
        Long logprobs = body.integer("logprobs", 0, model.maxLogprobs());
        List<Prompt> prompts = Prompt.read(body, sampling, model);
        if ((long) prompts.size() * sampling.n() > model.maxChoices()) {
            throw ApiError.invalid(
                    "n", "prompts times n may be at most " + model.maxChoices() + ".", prompts.size() * sampling.n());
        }
        return new Call(
                model,
                AnswerHead.of("cmpl-", exchange.id(), model),
                sampling,
                prompts,
                echo,
                maxTokens,
                logprobs == null ? -1 : logprobs.intValue());
    }

    private static TextRequest request(Call call, int index) {
        Sampling s = call.sampling();
        return new TextRequest(
                call.prompts().size() == 1 ? call.head().id() : call.head().id() + "-" + index,
                call.prompts().get(index).ids(),
                s.withLogprobs(call.logprobs(), call.echo() && call.logprobs() >= 0),
                s.n(),
                call.maxTokens(),
                s.minTokens(),
                s.ignoreEos(),
                s.stop(),
                s.stopTokenIds(),
                s.includeStop(),
                s.skipSpecial(),
                s.priority(),
                s.cacheSalt());
    }

    private byte[] whole(Call call, Answers.Whole answer) {
        return Json.bytes(json -> {
            json.writeStartObject();
            call.head().write(json, OBJECT);
            json.writeArrayPropertyStart("choices");
            for (int i = 0; i < answer.choices().size(); i++) {
                choice(json, call, answer, i);
            }
            json.writeEndArray();
            json.writeNullProperty("service_tier");
            json.writeStringProperty("system_fingerprint", api.fingerprint());
            AnswerHead.usage(json, answer.usage());
            json.writeNullProperty("kv_transfer_params");
            json.writeEndObject();
        });
    }

    private static void choice(JsonGenerator json, Call call, Answers.Whole answer, int index) {
        Answers.Choice choice = answer.choices().get(index);
        int promptIndex = index / call.sampling().n();
        Prompt prompt = call.prompts().get(promptIndex);
        json.writeStartObject();
        json.writeNumberProperty("index", index);
        json.writeStringProperty(
                "text", Json.wellFormed(call.echo() ? prompt.text() + choice.text : choice.text.toString()));
        if (call.logprobs() < 0) {
            json.writeNullProperty("logprobs");
        } else {
            List<TextEvent.TokenText> tokens = new ArrayList<>(answer.prompts().get(promptIndex));
            tokens.addAll(choice.tokens);
            logprobs(call).write(json, tokens);
        }
        AnswerHead.finish(json, choice.finish, choice.stopReason);
        if (call.sampling().returnIds()) {
            Json.ids(json, "token_ids", ids(choice.tokens));
            Json.ids(json, "prompt_token_ids", prompt.ids());
        } else {
            Json.nulls(json, "token_ids", "prompt_token_ids");
        }
        json.writeNullProperty("prompt_logprobs");
        json.writeEndObject();
    }

    static int[] ids(List<TextEvent.TokenText> tokens) {
        return tokens.stream().mapToInt(TextEvent.TokenText::id).toArray();
    }

    private static CompletionLogprobs logprobs(Call call) {
        return new CompletionLogprobs(call.logprobs(), call.sampling().tokensAsIds());
    }

    /** Chunks of a stream; the prompt, where it is echoed, comes with a choice's first one. */
    private static final class Chunks implements Answers.Chunks {
        private final Call call;
        private final List<List<TextEvent.TokenText>> scored = new ArrayList<>();
        private final List<CompletionLogprobs> logprobs = new ArrayList<>();
        /** By choice, from its first chunk on. */
        private final @Nullable ChunkTemplate[] templates;
        /** Choices that are still to begin with their prompt. */
        private int echoes;

        Chunks(Call call) {
            this.call = call;
            templates = new @Nullable
                    ChunkTemplate[call.prompts().size() * call.sampling().n()];
            echoes = call.echo() ? templates.length : 0;
            for (int i = 0; i < call.prompts().size(); i++) {
                scored.add(List.of());
                for (int j = 0; j < call.sampling().n(); j++) {
                    logprobs.add(logprobs(call));
                }
            }
        }

        @Override
        public boolean slow() {
            return echoes > 0;
        }

        @Override
        public void prompt(int prompt, List<TextEvent.TokenText> tokens) {
            scored.set(prompt, tokens);
        }

        @Override
        public void delta(int index, TextEvent.Delta delta, @Nullable Usage running, SseEvents out) {
            ChunkTemplate template = templates[index];
            boolean first = template == null;
            if (template == null) {
                template = ChunkTemplate.of(text -> chunk(index, false, ChunkTemplate.delta(text), null));
                templates[index] = template;
                echoes--;
            }
            boolean more = delta.finish() != null || running != null || call.logprobs() >= 0;
            if (first || more || call.sampling().returnIds()) {
                out.add(chunk(index, first, delta, running));
            } else {
                out.add(template.before(), Json.escaped(delta.text()), template.after());
            }
        }

        private byte[] chunk(int index, boolean first, TextEvent.Delta delta, @Nullable Usage running) {
            return Json.bytes(json -> chunk(json, index, first, delta, running));
        }

        private void chunk(
                JsonGenerator json, int index, boolean first, TextEvent.Delta delta, @Nullable Usage running) {
            int promptIndex = index / call.sampling().n();
            Prompt prompt = call.prompts().get(promptIndex);
            boolean echoed = first && call.echo();
            json.writeStartObject();
            call.head().write(json, OBJECT);
            json.writeArrayPropertyStart("choices");
            json.writeStartObject();
            json.writeNumberProperty("index", index);
            json.writeStringProperty("text", Json.wellFormed(echoed ? prompt.text() + delta.text() : delta.text()));
            if (call.logprobs() < 0) {
                json.writeNullProperty("logprobs");
            } else {
                List<TextEvent.TokenText> tokens = new ArrayList<>(echoed ? scored.get(promptIndex) : List.of());
                tokens.addAll(delta.tokens());
                logprobs.get(index).write(json, tokens);
            }
            AnswerHead.finish(json, delta.finish(), delta.stopReason());
            if (call.sampling().returnIds()) {
                Json.ids(json, "token_ids", ids(delta.tokens()));
                if (first) {
                    Json.ids(json, "prompt_token_ids", prompt.ids());
                }
            }
            json.writeEndObject();
            json.writeEndArray();
            if (running != null) {
                AnswerHead.usage(json, running);
            }
            json.writeEndObject();
        }

        @Override
        public byte[] usage(Usage total) {
            return Json.bytes(json -> {
                json.writeStartObject();
                call.head().write(json, OBJECT);
                json.writeArrayPropertyStart("choices");
                json.writeEndArray();
                AnswerHead.usage(json, total);
                json.writeEndObject();
            });
        }
    }
}
