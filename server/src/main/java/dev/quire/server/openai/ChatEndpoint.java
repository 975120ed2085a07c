package dev.quire.server.openai;

import dev.quire.scheduler.TextEvent;
import dev.quire.scheduler.TextRequest;
import dev.quire.scheduler.Usage;
import dev.quire.server.http.Endpoint;
import dev.quire.server.http.Exchange;
import dev.quire.server.http.Reply;
import dev.quire.server.http.SseEvents;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonGenerator;

/** {@code POST /v1/chat/completions}: the assistant's next message. */
public final class ChatEndpoint implements Endpoint {
    private final ApiSurface api;

    public ChatEndpoint(ApiSurface api) {
        this.api = api;
    }

    /**
     * A request, checked.
     *
     * @param echoed what of the conversation the answer begins with; empty = nothing
     * @param alternatives of each token's log-probability; -1 = no log-probabilities
     */
    private record Call(
            ServedModel model,
            AnswerHead head,
            Sampling sampling,
            Prompt prompt,
            String echoed,
            int maxTokens,
            int alternatives) {}

    @Override
    public void handle(Exchange exchange) throws InterruptedException {
        Call call = read(exchange, api.slot().require());
        try (Generations generations = Generations.start(call.model(), List.of(request(call)), exchange, api.live())) {
            Answers answers = new Answers(
                    generations, api, call.sampling().n(), call.prompt().ids().length);
            if (call.sampling().stream()) {
                answers.stream(exchange, new Chunks(call, api.fingerprint()), call.sampling());
            } else {
                exchange.reply(Reply.json(200, whole(call, answers.whole())));
            }
        }
    }

    private static Call read(Exchange exchange, ServedModel model) {
        Fields body = Json.object(exchange);
        model.requireName(body.string("model"));
        Sampling sampling = Sampling.read(body, model, exchange.header("X-Vllm-Priority"));
        Conversation conversation = Conversation.read(body);
        Prompt prompt =
                Prompt.ofText(conversation.render(model), body.bool("add_special_tokens", false), sampling, model);
        int left = model.maxModelLen() - prompt.ids().length;
        String maxField = body.has("max_completion_tokens") ? "max_completion_tokens" : "max_tokens";
        body.integer("max_tokens", 1, model.maxModelLen());
        int maxTokens = (int) body.integer(maxField, 1, model.maxModelLen(), left);
        if (sampling.minTokens() > maxTokens) {
            throw ApiError.invalid(
                    "min_tokens",
                    "min_tokens must be at most " + maxField + ", which is " + maxTokens + ".",
                    sampling.minTokens());
        }
        return new Call(
                model,
                AnswerHead.of("chatcmpl-", exchange.id(), model),
                sampling,
                prompt,
                body.bool("echo", false) ? conversation.finalContent() : "",
                maxTokens,
                alternatives(body, model));
    }

    private static int alternatives(Fields body, ServedModel model) {
        boolean wanted = body.bool("logprobs", false);
        long top = body.integer("top_logprobs", 0, model.maxLogprobs(), 0);
        if (top > 0 && !wanted) {
            throw ApiError.invalid("top_logprobs", "top_logprobs needs logprobs=true.", top);
        }
        return wanted ? (int) top : -1;
    }

    private static TextRequest request(Call call) {
        Sampling s = call.sampling();
        return new TextRequest(
                call.head().id(),
                call.prompt().ids(),
                s.withLogprobs(call.alternatives(), false),
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
            call.head().write(json, "chat.completion");
            json.writeArrayPropertyStart("choices");
            for (int i = 0; i < answer.choices().size(); i++) {
                choice(json, call, answer.choices().get(i), i);
            }
            json.writeEndArray();
            json.writeNullProperty("service_tier");
            json.writeStringProperty("system_fingerprint", api.fingerprint());
            AnswerHead.usage(json, answer.usage());
            json.writeNullProperty("prompt_logprobs");
            if (call.sampling().returnIds()) {
                Json.ids(json, "prompt_token_ids", call.prompt().ids());
            } else {
                json.writeNullProperty("prompt_token_ids");
            }
            json.writeNullProperty("kv_transfer_params");
            json.writeEndObject();
        });
    }

    private static void choice(JsonGenerator json, Call call, Answers.Choice choice, int index) {
        json.writeStartObject();
        json.writeNumberProperty("index", index);
        json.writeObjectPropertyStart("message");
        json.writeStringProperty("role", "assistant");
        json.writeStringProperty("content", Json.wellFormed(call.echoed() + choice.text));
        Json.nulls(json, "refusal", "annotations", "audio", "function_call", "reasoning");
        json.writeEndObject();
        logprobs(json, call, choice.tokens);
        AnswerHead.finish(json, choice.finish, choice.stopReason);
        if (call.sampling().returnIds()) {
            Json.ids(json, "token_ids", CompletionsEndpoint.ids(choice.tokens));
        } else {
            json.writeNullProperty("token_ids");
        }
        json.writeEndObject();
    }

    private static void logprobs(JsonGenerator json, Call call, List<TextEvent.TokenText> tokens) {
        if (call.alternatives() < 0) {
            json.writeNullProperty("logprobs");
        } else {
            ChatLogprobs.write(
                    json, tokens, call.alternatives(), call.sampling().tokensAsIds());
        }
    }

    /** Chunks of a stream: the role first, then text, the finish reason with the last of it. */
    private static final class Chunks implements Answers.Chunks {
        private static final String OBJECT = "chat.completion.chunk";
        private final Call call;
        private final String fingerprint;
        /** By choice, from its first chunk on. */
        private final @Nullable ChunkTemplate[] templates;

        Chunks(Call call, String fingerprint) {
            this.call = call;
            this.fingerprint = fingerprint;
            templates = new @Nullable ChunkTemplate[call.sampling().n()];
        }

        @Override
        public boolean slow() {
            return false;
        }

        @Override
        public void prompt(int prompt, List<TextEvent.TokenText> tokens) {
            throw new IllegalStateException("chat does not ask for scores of the prompt");
        }

        @Override
        public void delta(int index, TextEvent.Delta delta, @Nullable Usage running, SseEvents out) {
            ChunkTemplate template = templates[index];
            if (template == null) {
                open(index, running, out);
                template = ChunkTemplate.of(
                        text -> chunk(null, false, json -> text(json, index, ChunkTemplate.delta(text))));
                templates[index] = template;
            }
            boolean last = delta.finish() != null;
            if (last
                    || running != null
                    || call.alternatives() >= 0
                    || call.sampling().returnIds()) {
                boolean signed = last && !call.sampling().includeUsage();
                out.add(chunk(running, signed, json -> text(json, index, delta)));
            } else {
                out.add(template.before(), Json.escaped(delta.text()), template.after());
            }
        }

        private void open(int index, @Nullable Usage running, SseEvents out) {
            out.add(chunk(running, false, json -> opening(json, index, "assistant", "")));
            if (!call.echoed().isEmpty()) {
                out.add(chunk(running, false, json -> opening(json, index, null, call.echoed())));
            }
        }

        @Override
        public byte[] usage(Usage total) {
            return chunk(total, true, _ -> {});
        }

        private byte[] chunk(@Nullable Usage usage, boolean signed, Consumer<JsonGenerator> choice) {
            return Json.bytes(json -> {
                json.writeStartObject();
                call.head().write(json, OBJECT);
                if (signed) {
                    json.writeStringProperty("system_fingerprint", fingerprint);
                }
                json.writeArrayPropertyStart("choices");
                choice.accept(json);
                json.writeEndArray();
                if (usage != null) {
                    AnswerHead.usage(json, usage);
                }
                json.writeEndObject();
            });
        }

        private void opening(JsonGenerator json, int index, @Nullable String role, String content) {
            json.writeStartObject();
            json.writeNumberProperty("index", index);
            json.writeObjectPropertyStart("delta");
            if (role != null) {
                json.writeStringProperty("role", role);
            }
            json.writeStringProperty("content", content);
            json.writeEndObject();
            Json.nulls(json, "logprobs", "finish_reason");
            if (role != null && call.sampling().returnIds()) {
                Json.ids(json, "prompt_token_ids", call.prompt().ids());
            }
            json.writeEndObject();
        }

        private void text(JsonGenerator json, int index, TextEvent.Delta delta) {
            json.writeStartObject();
            json.writeNumberProperty("index", index);
            json.writeObjectPropertyStart("delta");
            json.writeStringProperty("content", Json.wellFormed(delta.text()));
            json.writeEndObject();
            logprobs(json, call, delta.tokens());
            if (delta.finish() == null) {
                json.writeNullProperty("finish_reason");
            } else {
                AnswerHead.finish(json, delta.finish(), delta.stopReason());
            }
            if (call.sampling().returnIds()) {
                Json.ids(json, "token_ids", CompletionsEndpoint.ids(delta.tokens()));
            }
            json.writeEndObject();
        }
    }
}
