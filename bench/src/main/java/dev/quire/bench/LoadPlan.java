package dev.quire.bench;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * When requests are sent. A closed loop has all of them due at once and limits how many run; an open loop sends each at
 * its time, whatever has become of those before.
 *
 * @param requests their lengths, in the order in which they are sent
 * @param due nanoseconds after the start at which each is sent, ascending
 * @param inFlight how many may run at once
 */
record LoadPlan(List<Lengths> requests, long[] due, int inFlight) {
    private static final int OPEN = Integer.MAX_VALUE;

    static LoadPlan closed(List<Lengths> requests, int clients) {
        return new LoadPlan(requests, new long[requests.size()], clients);
    }

    /** Poisson arrivals: independent exponential gaps of mean {@code 1 / rate} seconds. */
    static LoadPlan poisson(List<Lengths> requests, double rate, SplittableRandom random) {
        long[] due = new long[requests.size()];
        double at = 0;
        for (int i = 0; i < due.length; i++) {
            due[i] = (long) (at * 1e9);
            at -= Math.log1p(-random.nextDouble()) / rate;
        }
        return new LoadPlan(requests, due, OPEN);
    }

    /** The times of a trace, {@code speed} times as fast. */
    static LoadPlan replay(List<Trace.Arrival> arrivals, double speed) {
        long first = arrivals.isEmpty() ? 0 : arrivals.getFirst().atMs();
        long[] due = arrivals.stream()
                .mapToLong(arrival -> (long) ((arrival.atMs() - first) * 1e6 / speed))
                .toArray();
        return new LoadPlan(arrivals.stream().map(Trace.Arrival::lengths).toList(), due, OPEN);
    }

    @Override
    public String toString() {
        return requests.size() + " requests, due " + Arrays.toString(due) + ", at most " + inFlight;
    }
}
