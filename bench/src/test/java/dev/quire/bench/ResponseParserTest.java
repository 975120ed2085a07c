package dev.quire.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ResponseParserTest {
    private final ByteArrayOutputStream body = new ByteArrayOutputStream();
    private final ResponseParser parser = new ResponseParser((data, from, to) -> body.write(data, from, to - from));

    private void feed(String wire, int size) throws IOException {
        byte[] bytes = wire.getBytes(StandardCharsets.UTF_8);
        for (int from = 0; from < bytes.length; from += size) {
            parser.feed(bytes, from, Math.min(bytes.length, from + size));
        }
    }

    private String body() {
        return body.toString(StandardCharsets.UTF_8);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5, 1000})
    void chunksAreJoinedHoweverTheyAreSplit(int size) throws IOException {
        feed("""
                HTTP/1.1 200 OK\r
                Transfer-Encoding: chunked\r
                \r
                5;x=y\r
                hello\r
                A\r
                , \r
                world\n\r
                0\r
                Trailer: x\r
                \r
                """, size);
        assertThat(parser.status()).isEqualTo(200);
        assertThat(body()).isEqualTo("hello, \r\nworld\n");
        assertThat(parser.ended()).isTrue();
        assertThat(parser.closes()).isFalse();
    }

    @Test
    void aLengthEndsTheBody() throws IOException {
        feed("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy", 3);
        assertThat(parser.status()).isEqualTo(503);
        assertThat(body()).isEqualTo("busy");
        assertThat(parser.ended()).isTrue();
        assertThat(parser.closes()).isTrue();
    }

    @Test
    void withoutALengthTheBodyEndsWithTheConnection() throws IOException {
        feed("HTTP/1.0 200 OK\r\n\r\nall of it", 4);
        assertThat(parser.ended()).isFalse();
        parser.endOfStream();
        assertThat(parser.ended()).isTrue();
        assertThat(body()).isEqualTo("all of it");
    }

    @Test
    void anInterimResponseIsSkipped() throws IOException {
        feed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 7);
        assertThat(parser.status()).isEqualTo(200);
        assertThat(parser.ended()).isTrue();
    }

    @Test
    void anEndInsideAResponseIsAFault() throws IOException {
        feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 100);
        assertThatThrownBy(parser::endOfStream).hasMessageContaining("closed");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "SSH-2.0-x\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                "HTTP/1.1 200 OK\r\nno colon\r\n"
            })
    void whatIsNoResponseIsRefused(String wire) {
        assertThatThrownBy(() -> feed(wire, 100)).isInstanceOf(IOException.class);
    }
}
