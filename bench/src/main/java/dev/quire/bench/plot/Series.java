package dev.quire.bench.plot;

import java.util.List;

/** Values of one thing, one for each place on the horizontal axis; NaN where there is none. */
public record Series(String name, List<Double> values) {}
