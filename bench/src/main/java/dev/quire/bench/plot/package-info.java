/** Plots as SVG, written by hand: no library draws so little so plainly. */
@NullMarked
package dev.quire.bench.plot;

import org.jspecify.annotations.NullMarked;
