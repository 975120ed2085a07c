package dev.quire.server;

import dev.quire.model.chat.ChatFormat;
import dev.quire.model.chat.ChatTemplateException;
import dev.quire.server.http.HttpOptions;
import dev.quire.server.http.HttpServer;
import dev.quire.server.http.RawClient;
import dev.quire.server.http.Router;
import dev.quire.server.openai.ApiError;
import dev.quire.server.openai.ApiSurface;
import dev.quire.server.openai.ErrorStyle;
import dev.quire.server.openai.LiveRequests;
import dev.quire.server.openai.ModelSlot;
import dev.quire.server.openai.ServedModel;
import dev.quire.server.ops.Meters;
import java.io.IOException;
import java.util.List;

/** The whole server but for the engine, on a free port. */
final class ScriptedServer implements AutoCloseable {
    static final int CONTEXT = 256;
    final ScriptedTexts texts = new ScriptedTexts();
    final ModelSlot slot = new ModelSlot();
    final LiveRequests live = new LiveRequests();
    final HttpServer http;
    volatile boolean healthy = true;

    ScriptedServer() {
        this(HttpOptions.defaults());
    }

    ScriptedServer(HttpOptions options) {
        Meters meters = new Meters();
        try {
            http = HttpServer.start(
                    options,
                    new Router(
                            ApiRoutes.all(new ApiSurface(slot, live, ErrorStyle.VLLM, "quire-1.2.3"), meters, "1.2.3"),
                            (status, message) -> ErrorStyle.VLLM.body(new ApiError.Edge(status, message)),
                            meters.http()));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    ScriptedServer ready() {
        ChatFormat chat = (messages, tools, opening, extra) -> {
            StringBuilder out = new StringBuilder();
            messages.forEach(m -> {
                if ("bad".equals(m.get("content"))) {
                    throw new ChatTemplateException("no such talk");
                }
                out.append('<').append(m.get("role")).append('>').append(m.get("content"));
            });
            return out + (opening ? "<assistant>" : "");
        };
        slot.ready(new ServedModel(
                List.of("main/model", "other"),
                "/models/main",
                1_700_000_000,
                CONTEXT,
                20,
                1024,
                new ByteTokenizer(),
                chat,
                texts,
                () -> healthy));
        return this;
    }

    RawClient.Answer post(String path, String json) throws IOException {
        try (RawClient client = new RawClient(http.port())) {
            return client.post(path, json).answer();
        }
    }

    RawClient.Answer get(String path) throws IOException {
        try (RawClient client = new RawClient(http.port())) {
            return client.get(path).answer();
        }
    }

    @Override
    public void close() {
        http.close();
    }
}
