package dev.quire.server.http;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Path to endpoint. Decides on the head alone, before a body is read: without a key nothing but the open routes can be
 * told apart. Immutable; any thread.
 */
public final class Router {
    private static final Logger LOG = LoggerFactory.getLogger(Router.class);
    private final List<Route> routes;
    private final ErrorBodies errors;
    private final HttpObserver observer;

    /**
     * A router of the given routes; exact paths win over prefixes.
     *
     * @param errors writes 401, 404, 405 and 500
     * @param observer told of every request
     */
    public Router(List<Route> routes, ErrorBodies errors, HttpObserver observer) {
        this.routes = List.copyOf(routes);
        this.errors = errors;
        this.observer = observer;
    }

    /**
     * What becomes of a request.
     *
     * @param route null when there is none
     * @param refusal null when the route serves it
     */
    record Decision(@Nullable Route route, @Nullable Reply refusal) {
        String handler() {
            return route == null ? "none" : route.path();
        }
    }

    Decision decide(RequestHead head, ApiKeys keys) {
        Route found = null;
        List<Route> matching =
                routes.stream().filter(r -> r.matches(head.path())).toList();
        for (Route route : matching) {
            if (route.answers(head.method()) && (found == null || found.isPrefix())) {
                found = route;
            }
        }
        boolean open = (found != null && found.open()) || head.method().equals("OPTIONS");
        if (!open && !keys.admits(head.header("Authorization"), head.header("x-api-key"))) {
            return new Decision(found, unauthorized());
        }
        if (found != null) {
            return new Decision(found, null);
        }
        if (matching.isEmpty()) {
            return new Decision(null, error(404, "There is nothing at " + shown(head.path()) + "."));
        }
        String allowed = matching.stream().map(Route::method).distinct().collect(Collectors.joining(", "));
        String text = shown(head.path()) + " answers " + allowed + ", not " + shown(head.method()) + ".";
        return new Decision(null, error(405, text).with("Allow", allowed));
    }

    /** Runs the endpoint to its end; every way out leaves an answered or a closed exchange. */
    void serve(Route route, Exchange exchange) {
        try {
            route.endpoint().handle(exchange);
            if (!exchange.answered()) {
                throw new IllegalStateException("no answer from " + route.path());
            }
        } catch (ClientGoneException e) {
            LOG.debug("{} {}: the client left", exchange.id(), route.path());
        } catch (InterruptedException e) {
            exchange.replyOrAbort(error(503, "The server is shutting down.").with("Retry-After", "5"));
        } catch (Exception | Error e) {
            LOG.error("{} {} failed", exchange.id(), route.path(), e);
            exchange.replyOrAbort(error(500, "The server had an error while processing your request."));
        }
    }

    Reply error(int status, String message) {
        return Reply.json(status, errors.json(status, message));
    }

    HttpObserver observer() {
        return observer;
    }

    private Reply unauthorized() {
        String message = "A valid API key is needed: send it as \"Authorization: Bearer KEY\".";
        return new Reply(401, Reply.JSON, errors.json(401, message), Map.of("WWW-Authenticate", "Bearer"));
    }

    private static String shown(String text) {
        return text.length() <= 200 ? text : text.substring(0, 200) + "…";
    }
}
