package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

class BackendsTest {
    private static final Backends.Source MISSING = () -> {
        throw new NativeLibrary.Unavailable("the library is damaged");
    };

    private final Logger logger = (Logger) LoggerFactory.getLogger(Backends.class);
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();

    @BeforeEach
    void listen() {
        log.start();
        logger.addAppender(log);
    }

    @AfterEach
    void stopListening() {
        logger.detachAppender(log);
    }

    private List<String> logged(Level level) {
        return log.list.stream()
                .filter(e -> e.getLevel() == level)
                .map(ILoggingEvent::getFormattedMessage)
                .toList();
    }

    @Test
    void autoTakesTheNativeLibraryAndSaysSoInOneLine() {
        try (Backend backend = Backends.open("auto", "auto", 1)) {
            assertThat(backend.device().backend()).isEqualTo("cpu");
            assertThat(backend.device().threads()).isEqualTo(1);
            assertThat(backend.device().isa()).isIn("scalar", "avx2", "avx512", "avx512_bf16");
            assertThat(backend.device().memoryBytes()).isPositive();
            assertThat(backend.device().name()).isNotBlank();
        }
        assertThat(logged(Level.INFO)).singleElement().asString().startsWith("Backend cpu (");
        assertThat(logged(Level.WARN)).isEmpty();
    }

    @Test
    void aLevelAskedForByNameIsTheLevelThatRuns() {
        try (Backend backend = Backends.open("cpu", "scalar", 2)) {
            assertThat(backend.device().isa()).isEqualTo("scalar");
            assertThat(backend.device().threads()).isEqualTo(2);
        }
    }

    @Test
    void autoFallsBackToJavaLoudly() {
        try (DeviceGroup group = Backends.open(new Backends.Choice("auto", "auto", 1, 1), MISSING)) {
            assertThat(group.rank(0)).isInstanceOf(JavaBackend.class);
        }
        assertThat(logged(Level.WARN)).singleElement().asString().contains("the library is damaged");
        assertThat(logged(Level.INFO)).singleElement().asString().contains("passed over: cpu: the library is damaged");
    }

    @Test
    void aDeviceOrLevelAskedForByNameAndAbsentIsAnError() {
        assertThatThrownBy(() -> Backends.open(new Backends.Choice("cpu", "auto", 1, 1), MISSING))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("the library is damaged");
        assertThatThrownBy(() -> Backends.open(new Backends.Choice("auto", "avx2", 1, 1), MISSING))
                .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void cudaAskedForAndAbsentSaysWhy() {
        assertThatThrownBy(() -> Backends.open(new Backends.Choice("cuda", "auto", 1, 1), MISSING))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("device cuda is not to be had")
                .hasMessageContaining("the library is damaged");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Backends.open(new Backends.Choice("cuda", "avx2", 1, 1), MISSING))
                .withMessageContaining("it is the CPU's");
    }

    @Test
    void javaIsTakenWhenAskedFor() {
        try (Backend backend = Backends.open("java", "auto", 2)) {
            assertThat(backend.device().backend()).isEqualTo("java");
            assertThat(backend.device().threads()).isEqualTo(2);
        }
    }

    @Test
    void unknownNamesAreRefusedWithTheKnownOnes() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Backends.open("gpu", "auto", 0))
                .withMessage("device is 'gpu', allowed: auto, cpu, cuda, java");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Backends.open("cpu", "sse9", 0))
                .withMessageContaining("isa is 'sse9'");
        assertThatIllegalArgumentException().isThrownBy(() -> Backends.open("cpu", "auto", -1));
    }

    @Test
    void severalRanksAreForNativeLibraries() {
        try (DeviceGroup group = Backends.openGroup("auto", "auto", 2, 2)) {
            assertThat(group.size()).isEqualTo(2);
            assertThat(group.rank(1).device().threads()).isEqualTo(1);
        }
        assertThat(logged(Level.INFO)).singleElement().asString().endsWith("1 threads on each of 2 ranks");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Backends.openGroup("java", "auto", 0, 2))
                .withMessage("tensor-parallel-size is 2, device java takes 1");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Backends.openGroup("cpu", "auto", 0, 65))
                .withMessage("tensor-parallel-size is 65, device cpu takes 1 to 64");
        assertThatThrownBy(() -> Backends.open(new Backends.Choice("auto", "auto", 1, 2), MISSING))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("the library is damaged");
    }
}
