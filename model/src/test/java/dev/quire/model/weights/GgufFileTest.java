package dev.quire.model.weights;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.kernels.DType;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufFileTest {
    private final Path folder;

    GgufFileTest(@TempDir Path folder) {
        this.folder = folder;
    }

    private Path write(byte[] bytes) throws IOException {
        return Files.write(folder.resolve("some.gguf"), bytes);
    }

    private static GgufWriter sample() {
        return new GgufWriter()
                .string("general.architecture", "llama")
                .uint32("llama.block_count", 7)
                .float32("llama.rope.freq_base", 10000)
                .bool("tokenizer.ggml.add_bos_token", true)
                .strings("tokenizer.ggml.tokens", List.of("a", "", "é"))
                .int32s("tokenizer.ggml.token_type", 1, 3, -1)
                .float32s("tokenizer.ggml.scores", 0.5f, -2)
                .tensor("first", new float[] {1, 2, 3, 4, 5, 6}, 2, 3)
                .tensor("second", DType.Q4_1, new byte[40], 2, 32);
    }

    @Test
    void readsMetadataOfEachType() throws IOException {
        try (GgufFile file = GgufFile.open(write(sample().bytes()))) {
            GgufMetadata m = file.metadata();
            assertThat(m.string("general.architecture")).isEqualTo("llama");
            assertThat(m.requireInt("llama.block_count")).isEqualTo(7);
            assertThat(m.number("llama.rope.freq_base", 0)).isEqualTo(10000.0);
            assertThat(m.number("llama.block_count", 0)).isEqualTo(7.0);
            assertThat(m.flag("tokenizer.ggml.add_bos_token", false)).isTrue();
            assertThat(m.strings("tokenizer.ggml.tokens")).containsExactly("a", "", "é");
            assertThat(m.ints("tokenizer.ggml.token_type")).containsExactly(1, 3, -1);
            assertThat(m.floats("tokenizer.ggml.scores")).containsExactly(0.5f, -2);
            assertThat(m.string("absent")).isNull();
            assertThat(m.intValue("absent", 9)).isEqualTo(9);
        }
    }

    @Test
    void mapsTensorsWithTheOutermostDimensionFirst() throws IOException {
        try (GgufFile file = GgufFile.open(write(sample().bytes()))) {
            WeightTensor first = requireNonNull(file.tensor("first"));
            assertThat(first.shape()).containsExactly(2, 3);
            assertThat(first.elements()).isEqualTo(6);
            assertThat(first.data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED)).containsExactly(1, 2, 3, 4, 5, 6);
            assertThat(requireNonNull(file.tensor("second")).data().byteSize()).isEqualTo(40);
        }
    }

    @Test
    void aKeyOfAnotherTypeNamesBothTypes() throws IOException {
        try (GgufFile file = GgufFile.open(write(sample().bytes()))) {
            assertThatThrownBy(() -> file.metadata().requireInt("general.architecture"))
                    .isInstanceOf(WeightsException.class)
                    .hasMessageContaining("some.gguf: general.architecture should be an integer and is a string");
            assertThatThrownBy(() -> file.metadata().requireString("llama.nothing"))
                    .hasMessageContaining("metadata lacks llama.nothing");
        }
    }

    private void refused(UnaryOperator<byte[]> damage, String message) throws IOException {
        Path path = write(damage.apply(sample().bytes()));
        assertThatThrownBy(() -> GgufFile.open(path).close())
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("some.gguf")
                .hasMessageContaining(message);
    }

    private static UnaryOperator<byte[]> putLong(int at, long value) {
        return b -> ByteBuffer.wrap(b)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(at, value)
                .array();
    }

    @Test
    void refusesOtherFilesAndVersions() throws IOException {
        refused(_ -> new byte[0], "magic number needs 4 bytes");
        refused(_ -> "<!DOCTYPE html>".getBytes(java.nio.charset.StandardCharsets.UTF_8), "not a GGUF file");
        refused(b -> ByteBuffer.wrap(b).putInt(4, 3).array(), "(big-endian) is not supported");
    }

    @Test
    void refusesCountsThatTheFileCannotHold() throws IOException {
        refused(putLong(8, Long.MIN_VALUE), "number of tensors is 9223372036854775808, at most 65536");
        refused(putLong(16, 1 << 20), "number of metadata keys is 1048576");
        refused(putLong(24, Long.MAX_VALUE), "length of metadata key 0 is 9223372036854775807");
        refused(b -> java.util.Arrays.copyOf(b, b.length - 1), "tensor second needs 40 bytes");
    }

    @Test
    void refusesDuplicates() throws IOException {
        refused(_ -> sample().tensor("first", new float[1], 1).bytes(), "tensor first appears twice");
        refused(_ -> sample().uint32("llama.block_count", 1).bytes(), "metadata key llama.block_count appears twice");
    }

    @Test
    void refusesShapesThatOverflowOrDoNotFitTheirType() throws IOException {
        long half = 1L << 32;
        refused(_ -> sample().tensor("t", DType.F32, new byte[4], half, half).bytes(), "overflows 64 bits");
        refused(_ -> sample().tensor("t", DType.F32, new byte[4], 0, 1).bytes(), "tensor t has dimension 0");
        refused(_ -> sample().tensor("t", DType.Q8_0, new byte[34], 33).bytes(), "blocks of 32 elements");
        refused(_ -> sample().tensor("t", DType.F32, new byte[4]).bytes(), "tensor t has 0 dimensions");
    }

    @Test
    void refusesStrangeAlignments() throws IOException {
        refused(_ -> sample().uint32("general.alignment", 48).bytes(), "general.alignment is 48");
        refused(_ -> sample().uint32("general.alignment", 64).bytes(), "not a multiple of 64");
    }
}
