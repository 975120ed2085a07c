package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.kernels.Devices.Device;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Who may close what and when, and what memory a device gives. */
class LifetimeTest {
    static List<Device> devices() {
        return Devices.all();
    }

    @ParameterizedTest
    @MethodSource("devices")
    void whatRunsMustBeLeftAlone(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            TinyModel p = new TinyModel(rig);
            Backend backend = rig.backend;
            assertThatThrownBy(backend::await).isInstanceOf(IllegalStateException.class);
            Backend.Program program = backend.compile(p.program());
            Step step = backend.newStep(TinyModel.LIMITS);
            TinyModel.sequence(step, 0, 2, 1);
            backend.submit(program, step);
            List<Runnable> forbidden = List.of(
                    () -> backend.submit(program, step),
                    () -> backend.reserve(program, step),
                    () -> p.x.buffer().close(),
                    () -> rig.read(p.x),
                    backend::close,
                    step::clear,
                    step::close);
            for (Runnable act : forbidden) {
                assertThatThrownBy(act::run).isInstanceOf(IllegalStateException.class);
            }
            backend.await();
            step.close();
            program.close();
            program.close();
            p.goodStepRuns();
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void closingABackendNamesTheBuffersThatAreLeft(Device device) {
        Backend backend = device.open();
        Buffer first = backend.allocate(100, "lost weights");
        Buffer second = backend.allocate(100, "found");
        second.close();
        assertThat(backend.liveBuffers()).isEqualTo(1);
        assertThatThrownBy(backend::close)
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("1 buffers are still alive: lost weights");
        first.close();
        backend.close();
        backend.close();
        assertThatThrownBy(() -> backend.allocate(1, "late")).isInstanceOf(IllegalStateException.class);
    }

    @ParameterizedTest
    @MethodSource("devices")
    void memoryIsZeroedAlignedAndBounded(Device device) throws Exception {
        try (Rig rig = device.rig()) {
            Buffer buffer = rig.own(rig.backend.allocate(1000, "b"));
            assertThat(buffer.address() % 64).isZero();
            assertThat(rig.read(buffer)).containsOnly((byte) 0);
            MemorySegment ten = MemorySegment.ofArray(new byte[10]);
            for (long offset : new long[] {-1, 991, Long.MAX_VALUE}) {
                assertThatThrownBy(() -> rig.backend.upload(buffer, offset, ten))
                        .isInstanceOf(IndexOutOfBoundsException.class)
                        .hasMessageContaining("'b' has 1000 bytes");
                assertThatThrownBy(() -> rig.backend.download(ten, buffer, offset))
                        .isInstanceOf(IndexOutOfBoundsException.class);
            }
            assertThatIllegalArgumentException().isThrownBy(() -> rig.backend.allocate(0, "none"));
            assertThatThrownBy(() -> rig.backend.allocate(1L << 60, "too much"))
                    .isInstanceOf(KernelException.class)
                    .hasMessageContaining("too much");
        }
    }

    @ParameterizedTest
    @MethodSource("devices")
    void weightsOfTheWrongSizeAreRefused(Device device) throws Exception {
        try (Rig rig = device.rig();
                Arena arena = Arena.ofConfined()) {
            MemorySegment source = arena.allocate(18 * 4, 64);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> rig.backend.load(source, DType.Q4_0, 3, 32, "w"))
                    .withMessageContaining("72 bytes given, allowed: 54");
            assertThatIllegalArgumentException().isThrownBy(() -> rig.backend.load(source, DType.Q4_0, 4, 33, "w"));
            assertThatIllegalArgumentException().isThrownBy(() -> rig.backend.load(source, DType.Q4_0, 0, 32, "w"));
            assertThat(rig.backend.liveBuffers()).isZero();
        }
    }
}
