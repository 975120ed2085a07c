package dev.quire.bench.plot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.IntStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

class PlotTest {
    private static Document parsed(String svg) throws Exception {
        return DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(new ByteArrayInputStream(svg.getBytes(StandardCharsets.UTF_8)));
    }

    private static Panel panel(Panel.Style style, Double... values) {
        List<String> places =
                IntStream.range(0, values.length).mapToObj(i -> "p" + i).toList();
        return new Panel("title", "ms", style, places, List.of(new Series("a", List.of(values))));
    }

    @Test
    void namesWithMarkupMakeAWellFormedDrawing() throws Exception {
        Panel bars = new Panel(
                "<b> & \"c\"", "µs", Panel.Style.BARS, List.of("<&>"), List.of(new Series("]]>", List.of(1.5))));
        Document drawing =
                parsed(Plot.svg("a < b & c \u0001", "'quoted'", List.of(bars, panel(Panel.Style.LINES, 3.0))));
        assertThat(drawing.getDocumentElement().getTagName()).isEqualTo("svg");
        assertThat(drawing.getDocumentElement().getTextContent()).contains("a < b & c", "<b> & \"c\"", "]]>");
    }

    @Test
    void barsAreAsTallAsTheirValues() throws Exception {
        NodeList rectangles = parsed(Plot.svg("t", "s", List.of(panel(Panel.Style.BARS, 10.0, 20.0))))
                .getElementsByTagName("rect");
        int count = rectangles.getLength();
        double ten = height(rectangles, count - 2);
        double twenty = height(rectangles, count - 1);
        assertThat(ten).isPositive();
        assertThat(twenty).isBetween(2 * ten - 0.2, 2 * ten + 0.2);
    }

    private static double height(NodeList rectangles, int index) {
        return Double.parseDouble(((Element) rectangles.item(index)).getAttribute("height"));
    }

    @Test
    void aMissingValueIsLeftOut() throws Exception {
        Document drawing = parsed(Plot.svg("t", "s", List.of(panel(Panel.Style.LINES, 1.0, Double.NaN, 2.0))));
        assertThat(drawing.getElementsByTagName("circle").getLength()).isEqualTo(2);
        assertThat(Plot.svg("t", "s", List.of(panel(Panel.Style.BARS, Double.NaN))))
                .doesNotContain("NaN");
    }

    @ParameterizedTest
    @CsvSource({"0, 1", "1, 0.2", "1.9, 0.2", "2, 0.5", "5, 1", "9.9, 1", "1234, 200", "0.03, 0.005"})
    void gridLinesAreAtRoundNumbers(double largest, double step) {
        assertThat(Plot.step(largest)).isCloseTo(step, within(1e-9));
    }

    @Test
    void aSeriesOfAnotherLengthThanThePlacesIsRefused() {
        assertThatThrownBy(() -> new Panel(
                        "t", "u", Panel.Style.BARS, List.of("a", "b"), List.of(new Series("s", List.of(1.0)))))
                .hasMessageContaining("1 values for 2 places");
    }
}
