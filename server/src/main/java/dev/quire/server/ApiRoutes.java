package dev.quire.server;

import dev.quire.server.http.Route;
import dev.quire.server.openai.ApiSurface;
import dev.quire.server.openai.ChatEndpoint;
import dev.quire.server.openai.CompletionsEndpoint;
import dev.quire.server.openai.ModelsEndpoint;
import dev.quire.server.openai.TokenizeEndpoint;
import dev.quire.server.ops.Meters;
import dev.quire.server.ops.OpsEndpoint;
import java.util.ArrayList;
import java.util.List;

/** Every path that the server answers. */
final class ApiRoutes {
    private ApiRoutes() {}

    static List<Route> all(ApiSurface api, Meters meters, String version) {
        ModelsEndpoint models = new ModelsEndpoint(api.slot());
        TokenizeEndpoint tokens = new TokenizeEndpoint(api.slot());
        List<Route> routes = new ArrayList<>(new OpsEndpoint(api.slot(), api.live(), meters, version).routes());
        routes.add(Route.guarded("POST", "/v1/completions", api.errors().around(new CompletionsEndpoint(api))));
        routes.add(Route.guarded("POST", "/v1/chat/completions", api.errors().around(new ChatEndpoint(api))));
        routes.add(Route.guarded("GET", "/v1/models", api.errors().around(models::list)));
        routes.add(Route.guarded("GET", "/v1/models/*", api.errors().around(models::one)));
        routes.add(Route.guarded("POST", "/tokenize", api.errors().around(tokens::tokenize)));
        routes.add(Route.guarded("POST", "/detokenize", api.errors().around(tokens::detokenize)));
        return routes;
    }
}
