package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SseReaderTest {
    private static List<String> events(String wire) throws IOException {
        SseReader reader = new SseReader(new ByteArrayInputStream(wire.getBytes(StandardCharsets.UTF_8)));
        List<String> events = new ArrayList<>();
        for (String data = reader.next(); data != null; data = reader.next()) {
            events.add(data);
        }
        return events;
    }

    @ParameterizedTest
    @ValueSource(strings = {"\n", "\r\n", "\r"})
    void everyLineEndingSeparatesEvents(String end) throws IOException {
        assertThat(events("data: one" + end + end + "data:two" + end + end)).containsExactly("one", "two");
    }

    @Test
    void commentsAndOtherFieldsAreNoEvents() throws IOException {
        assertThat(events(": keep-alive\n\nevent: x\nid: 1\ndata: {}\n\n")).containsExactly("{}");
    }

    @Test
    void severalDataLinesAreOneEvent() throws IOException {
        assertThat(events("data: a\ndata:  b\ndata:\n\n")).containsExactly("a\n b\n");
    }

    @Test
    void anEventCutOffByTheEndIsDropped() throws IOException {
        assertThat(events("data: whole\n\ndata: half\n")).containsExactly("whole");
    }

    @Test
    void textOutsideAsciiSurvives() throws IOException {
        assertThat(events("data: schön 🌍\n\n")).containsExactly("schön 🌍");
    }
}
