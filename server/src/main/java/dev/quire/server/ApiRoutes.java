package dev.quire.server;

import dev.quire.server.http.Route;
import dev.quire.server.openai.ChatEndpoint;
import dev.quire.server.openai.CompletionsEndpoint;
import dev.quire.server.openai.LiveRequests;
import dev.quire.server.openai.ModelSlot;
import dev.quire.server.openai.ModelsEndpoint;
import dev.quire.server.openai.TokenizeEndpoint;
import dev.quire.server.ops.OpsEndpoint;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.util.ArrayList;
import java.util.List;

/** Every path that the server answers. */
final class ApiRoutes {
    private ApiRoutes() {}

    static List<Route> all(ModelSlot slot, LiveRequests live, PrometheusMeterRegistry registry, String version) {
        String fingerprint = "quire-" + version;
        ModelsEndpoint models = new ModelsEndpoint(slot);
        TokenizeEndpoint tokens = new TokenizeEndpoint(slot);
        List<Route> routes = new ArrayList<>(new OpsEndpoint(slot, live, registry, version).routes());
        routes.add(Route.guarded("POST", "/v1/completions", new CompletionsEndpoint(slot, live, fingerprint)));
        routes.add(Route.guarded("POST", "/v1/chat/completions", new ChatEndpoint(slot, live, fingerprint)));
        routes.add(Route.guarded("GET", "/v1/models", models::list));
        routes.add(Route.guarded("GET", "/v1/models/*", models::one));
        routes.add(Route.guarded("POST", "/tokenize", tokens::tokenize));
        routes.add(Route.guarded("POST", "/detokenize", tokens::detokenize));
        return routes;
    }
}
