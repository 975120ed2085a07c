package dev.quire.bench.plot;

import java.util.Formatter;
import java.util.List;
import java.util.Locale;

/** A drawing; lengths in pixels, from the top left. */
final class Svg {
    /** Where a text is held. */
    enum Anchor {
        START,
        MIDDLE,
        END
    }

    private final Formatter out = new Formatter(Locale.ROOT);

    Svg(int width, int height) {
        out.format(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\""
                        + " font-family=\"Helvetica, Arial, sans-serif\">%n",
                width, height, width, height);
        rectangle(0, 0, width, height, "#ffffff");
    }

    void rectangle(double x, double y, double width, double height, String fill) {
        out.format(
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>%n",
                x, y, width, height, fill);
    }

    void line(double fromX, double fromY, double toX, double toY, String colour) {
        out.format(
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>%n",
                fromX, fromY, toX, toY, colour);
    }

    /** A curve through points, each x and y. */
    void curve(List<double[]> points, String colour) {
        StringBuilder text = new StringBuilder();
        points.forEach(point -> text.append(String.format(Locale.ROOT, "%.1f,%.1f ", point[0], point[1])));
        out.format(
                "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>%n",
                text.toString().trim(), colour);
        points.forEach(point ->
                out.format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>%n", point[0], point[1], colour));
    }

    void text(double x, double y, int size, Anchor anchor, String colour, String text) {
        out.format(
                "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" text-anchor=\"%s\" fill=\"%s\">%s</text>%n",
                x, y, size, anchor.name().toLowerCase(Locale.ROOT), colour, escaped(text));
    }

    /** A text that runs upwards. */
    void textUpwards(double x, double y, int size, String colour, String text) {
        out.format(
                "<text transform=\"translate(%.1f %.1f) rotate(-90)\" font-size=\"%d\" text-anchor=\"middle\""
                        + " fill=\"%s\">%s</text>%n",
                x, y, size, colour, escaped(text));
    }

    private static String escaped(String text) {
        StringBuilder safe = new StringBuilder();
        text.codePoints().forEach(c -> {
            switch (c) {
                case '&' -> safe.append("&amp;");
                case '<' -> safe.append("&lt;");
                case '>' -> safe.append("&gt;");
                default -> safe.appendCodePoint(c < ' ' || c == 0xFFFE || c == 0xFFFF ? ' ' : c);
            }
        });
        return safe.toString();
    }

    String end() {
        return out + "</svg>\n";
    }
}
