package dev.quire.server.ops;

import dev.quire.server.http.Exchange;
import dev.quire.server.http.Reply;
import dev.quire.server.http.Route;
import dev.quire.server.openai.Json;
import dev.quire.server.openai.LiveRequests;
import dev.quire.server.openai.ModelSlot;
import dev.quire.server.openai.ModelSlot.State;
import java.util.List;
import java.util.Map;

/** What probes, routers and operators ask. */
public final class OpsEndpoint {
    private final ModelSlot slot;
    private final LiveRequests live;
    private final Meters meters;
    private final String version;

    public OpsEndpoint(ModelSlot slot, LiveRequests live, Meters meters, String version) {
        this.slot = slot;
        this.live = live;
        this.meters = meters;
        this.version = version;
    }

    /** Its routes; what a probe or a scraper needs is open. */
    public List<Route> routes() {
        return List.of(
                Route.probe("GET", "/health", this::health),
                Route.probe("GET", "/livez", x -> x.reply(status(200, "live"))),
                Route.probe("GET", "/readyz", this::health),
                Route.probe("GET", "/startupz", this::startup),
                Route.probe("GET", "/ping", this::health),
                Route.probe("POST", "/ping", this::health),
                Route.open("GET", "/metrics", this::metrics),
                Route.guarded("GET", "/version", this::version),
                Route.guarded("GET", "/load", this::load));
    }

    private void health(Exchange exchange) {
        exchange.reply(
                switch (slot.state()) {
                    case State.Ready _ -> status(200, "ok");
                    case State.Loading loading -> loading(loading).with("Retry-After", "2");
                    case State.Draining _ -> status(503, "draining").with("Retry-After", "5");
                    case State.Failed _ -> status(503, "failed");
                });
    }

    private void startup(Exchange exchange) {
        exchange.reply(
                switch (slot.state()) {
                    case State.Ready _, State.Draining _ -> status(200, "started");
                    case State.Loading loading -> loading(loading);
                    case State.Failed _ -> status(503, "failed");
                });
    }

    private void metrics(Exchange exchange) {
        exchange.reply(new Reply(200, Meters.CONTENT_TYPE, meters.text(), Map.of()));
    }

    private void version(Exchange exchange) {
        exchange.reply(Reply.json(200, Json.bytes(json -> {
            json.writeStartObject();
            json.writeStringProperty("version", version);
            json.writeEndObject();
        })));
    }

    private void load(Exchange exchange) {
        exchange.reply(Reply.json(200, Json.bytes(json -> {
            json.writeStartObject();
            json.writeNumberProperty("server_load", live.count());
            json.writeEndObject();
        })));
    }

    private static Reply loading(State.Loading loading) {
        return Reply.json(503, Json.bytes(json -> {
            json.writeStartObject();
            json.writeStringProperty("status", "loading");
            json.writeStringProperty("phase", loading.phase());
            json.writeNumberProperty("percent", loading.percent());
            json.writeEndObject();
        }));
    }

    private static Reply status(int code, String status) {
        return Reply.json(code, Json.bytes(json -> {
            json.writeStartObject();
            json.writeStringProperty("status", status);
            json.writeEndObject();
        }));
    }
}
