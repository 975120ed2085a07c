package dev.quire.server.ops;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quire.scheduler.EngineListener.RequestStats;
import dev.quire.scheduler.FinishReason;
import dev.quire.scheduler.Usage;
import java.io.IOException;
import java.io.StringWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ArrivalRecorderTest {
    private static final InstantSource CLOCK = InstantSource.fixed(Instant.ofEpochMilli(5000));

    private static RequestStats ended(int prompt, int output, long millis) {
        return new RequestStats(
                1,
                output,
                output,
                new Usage(prompt, output, 0),
                0,
                0,
                0,
                0,
                0,
                millis * 1_000_000,
                FinishReason.LENGTH);
    }

    @Test
    void aLineSaysWhenARequestCameAndHowLongItWas(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("arrivals.jsonl");
        Files.writeString(file, "{\"at_ms\":1,\"prompt_tokens\":2,\"output_tokens\":3}\n");
        try (ArrivalRecorder recorder = ArrivalRecorder.open(file, CLOCK)) {
            recorder.accept(ended(7, 9, 1500));
        }
        assertThat(Files.readString(file)).isEqualTo("""
                        {"at_ms":1,"prompt_tokens":2,"output_tokens":3}
                        {"at_ms":3500,"prompt_tokens":7,"output_tokens":9}
                        """);
    }

    @Test
    void aRequestThatGotNoTokenIsNoArrivalToReplay(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("arrivals.jsonl");
        try (ArrivalRecorder recorder = ArrivalRecorder.open(file, CLOCK)) {
            recorder.accept(ended(7, 0, 10));
        }
        assertThat(file).isEmptyFile();
    }

    @Test
    void aSlowDiskHoldsNobodyUp() {
        CountDownLatch disk = new CountDownLatch(1);
        StringWriter written = new StringWriter();
        Writer slow = new Writer() {
            @Override
            public void write(char[] text, int from, int length) {
                try {
                    disk.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
                written.write(text, from, length);
            }

            @Override
            public void flush() {}

            @Override
            public void close() {}
        };
        try (ArrivalRecorder recorder = new ArrivalRecorder(slow, CLOCK, 4)) {
            for (int i = 0; i < 1000; i++) {
                recorder.accept(ended(1, 1, 0)); // would never return if it waited for the disk
            }
            disk.countDown();
        }
        assertThat(written.toString().lines().count()).isBetween(4L, 5L);
    }
}
