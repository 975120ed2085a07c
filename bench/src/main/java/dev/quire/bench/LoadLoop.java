package dev.quire.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntConsumer;

/**
 * Sends the requests of a plan from one thread over as many connections as it takes. The thread sleeps until a socket
 * is ready, so that the client costs a server on the same cores little. Connections are kept between requests.
 */
final class LoadLoop {
    private static final String PATH = "/v1/completions";
    private static final long TICK_MS = 500;

    /**
     * What came of a plan.
     *
     * @param failures why requests failed, one text each
     * @param nanos from the first request to the end of the last
     */
    record Outcome(List<Sample> samples, List<String> failures, long nanos) {}

    private final Target target;
    private final RequestBodies bodies;
    private final LoadPlan plan;
    private final long silenceNanos;
    private final IntConsumer finished;

    private final byte[] buffer = new byte[1 << 16];
    private final Deque<Connection> idle = new ArrayDeque<>();
    private final Set<Connection> busy = new HashSet<>();
    private final List<Sample> samples = new ArrayList<>();
    private final List<String> failures = new ArrayList<>();

    /**
     * @param silence a request fails when nothing of its answer comes for so long
     * @param finished told how many requests have ended
     */
    LoadLoop(Target target, RequestBodies bodies, LoadPlan plan, Duration silence, IntConsumer finished) {
        this.target = target;
        this.bodies = bodies;
        this.plan = plan;
        this.silenceNanos = silence.toNanos();
        this.finished = finished;
    }

    /** Runs the plan; once. */
    Outcome run() throws IOException {
        long start = System.nanoTime();
        try (Selector selector = Selector.open()) {
            int next = 0;
            int count = plan.requests().size();
            while (samples.size() + failures.size() < count) {
                long now = System.nanoTime();
                while (next < count && busy.size() < plan.inFlight() && plan.due()[next] <= now - start) {
                    begin(selector, next++);
                }
                long wait = next < count && busy.size() < plan.inFlight() ? plan.due()[next] - (now - start) : 0;
                select(selector, wait);
                endSilent();
            }
        } finally {
            idle.forEach(Connection::close);
            busy.forEach(Connection::close);
        }
        return new Outcome(samples, failures, System.nanoTime() - start);
    }

    private void select(Selector selector, long untilNextNanos) throws IOException {
        long untilNext = Math.ceilDiv(untilNextNanos, 1_000_000L);
        try {
            selector.select(this::ready, untilNext > 0 ? Math.min(untilNext, TICK_MS) : TICK_MS);
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private void begin(Selector selector, int number) {
        byte[] request = target.post(PATH, bodies.body(number, plan.requests().get(number)));
        send(selector, new Exchange(number, request, System.nanoTime()));
    }

    private void send(Selector selector, Exchange exchange) {
        Connection connection = idle.pollLast();
        try {
            if (connection == null) {
                connection = Connection.open(target, selector);
            }
            busy.add(connection);
            connection.send(exchange);
        } catch (IOException e) {
            if (connection == null) {
                fail(exchange, e);
            } else {
                broken(selector, connection, exchange, e);
            }
        }
    }

    private void ready(SelectionKey key) {
        Connection connection = (Connection) key.attachment();
        Exchange exchange = connection.current();
        try {
            if (!connection.ready(buffer)) {
                return;
            }
        } catch (IOException e) {
            if (exchange != null) {
                broken(key.selector(), connection, exchange, e);
                return;
            }
        }
        if (exchange == null) { // the server has closed what was idle
            idle.remove(connection);
            connection.close();
        } else {
            ended(connection, exchange);
        }
    }

    private void ended(Connection connection, Exchange exchange) {
        busy.remove(connection);
        if (connection.release()) {
            idle.addLast(connection);
        } else {
            connection.close();
        }
        try {
            samples.add(exchange.sample(plan.requests().get(exchange.number()).output()));
            finished.accept(samples.size() + failures.size());
        } catch (IOException e) {
            fail(exchange, e);
        }
    }

    /** A kept connection may have been closed by the server before the request came: such a request is sent again. */
    private void broken(Selector selector, Connection connection, Exchange exchange, IOException cause) {
        busy.remove(connection);
        connection.close();
        if (connection.reused() && !exchange.answered()) {
            send(selector, exchange.again());
        } else {
            fail(exchange, cause);
        }
    }

    private void endSilent() {
        long now = System.nanoTime();
        for (Connection connection : List.copyOf(busy)) {
            Exchange exchange = connection.current();
            if (exchange != null && now - exchange.lastByte() > silenceNanos) {
                busy.remove(connection);
                connection.close();
                fail(exchange, new IOException("nothing came for " + silenceNanos / 1_000_000_000L + " s"));
            }
        }
    }

    private void fail(Exchange exchange, IOException cause) {
        failures.add("request " + exchange.number() + ": " + cause.getMessage());
        finished.accept(samples.size() + failures.size());
    }
}
