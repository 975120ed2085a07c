package dev.quire.model.weights;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.kernels.DType;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetensorsDirectoryTest {
    private static final String TWO = """
            {"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
             "b": {"dtype": "BF16", "shape": [3], "data_offsets": [16, 22]}, "__metadata__": {"format": "pt"}}""";

    private final Path folder;

    SafetensorsDirectoryTest(@TempDir Path folder) {
        this.folder = folder;
    }

    private void write(String name, String header, int dataBytes) throws IOException {
        byte[] text = header.getBytes(StandardCharsets.UTF_8);
        byte[] bytes = new byte[8 + text.length + dataBytes];
        ByteBuffer out = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        out.putLong(text.length).put(text);
        for (int i = 0; i < dataBytes / 4; i++) {
            out.putFloat(i);
        }
        Files.write(folder.resolve(name), bytes);
    }

    @Test
    void mapsTheTensorsOfOneFile() throws IOException {
        write("model.safetensors", TWO, 22);
        try (SafetensorsDirectory directory = SafetensorsDirectory.open(folder)) {
            WeightTensor a = requireNonNull(directory.tensor("a"));
            assertThat(a.shape()).containsExactly(2, 2);
            assertThat(a.data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED)).containsExactly(0, 1, 2, 3);
            assertThat(requireNonNull(directory.tensor("b")).data().byteSize()).isEqualTo(6);
            assertThat(directory.tensor("__metadata__")).isNull();
            assertThat(directory.bytes()).isEqualTo(22);
        }
    }

    @Test
    void mapsTheTensorsOfAllShards() throws IOException {
        write("model-1.safetensors", "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}", 4);
        write("model-2.safetensors", "{\"b\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [4, 8]}}", 8);
        Files.writeString(
                folder.resolve("model.safetensors.index.json"),
                "{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"model-2.safetensors\"}}");
        try (SafetensorsDirectory directory = SafetensorsDirectory.open(folder)) {
            assertThat(requireNonNull(directory.tensor("b")).data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0))
                    .isEqualTo(1);
            assertThat(directory.tensor("a")).isNotNull();
        }
    }

    @Test
    void anIndexCannotNameAFileElsewhere() throws IOException {
        Files.writeString(
                folder.resolve("model.safetensors.index.json"),
                "{\"weight_map\": {\"a\": \"../../secret.safetensors\"}}");
        assertThatThrownBy(() -> SafetensorsDirectory.open(folder).close())
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("names a strange file for a: ../../secret.safetensors");
    }

    @Test
    void anEmptyFolderSaysWhatItLacks() {
        assertThatThrownBy(() -> SafetensorsDirectory.open(folder).close())
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("holds neither model.safetensors nor model.safetensors.index.json");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"F32\"|\"I64\"|tensor a has dtype I64; supported are F32, F16, BF16, F8_E4M3",
                "[0, 16]|[0, 12]|tensor a has 12 bytes of data, its shape and dtype ask for 16",
                "[0, 16]|[8, 24]|tensor a: data_offsets should be a range within the 22 bytes",
                "[16, 22]|[14, 20]|tensors a and b overlap",
                "[2, 2]|[4611686018427387904, 4]|tensor a: the product of its shape overflows 64 bits",
                "[2, 2]|[-2, -2]|tensor a: shape holds a number that is not a size",
                "[2, 2]|[2.0, 2]|tensor a: shape holds a number that is not a size",
                "[2, 2]|4|tensor a: shape should be an array",
                "\"b\": {|\"a\": {|is not sound JSON",
                "}}|}|is not sound JSON",
            })
    void refusesDamagedHeaders(String part, String instead, String message) throws IOException {
        write("model.safetensors", TWO.replace(part, instead), 22);
        assertThatThrownBy(() -> SafetensorsDirectory.open(folder).close())
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("model.safetensors")
                .hasMessageContaining(message);
    }

    private static final String FLOAT8 = """
            {"w": {"dtype": "F8_E4M3", "shape": [2, 64], "data_offsets": [8, 136]},
             "w_scale": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}}""";

    @Test
    void givesFloat8sWithTheirScales() throws IOException {
        // The file's words count up: 0 and 1 are the scales of the rows.
        write("model.safetensors", FLOAT8, 136);
        try (SafetensorsWeights weights = new SafetensorsWeights(SafetensorsDirectory.open(folder))) {
            WeightTensor w = weights.tensor("w");
            assertThat(w.type()).isEqualTo(DType.F8_E4M3);
            assertThat(w.data().byteSize()).isEqualTo(4 * 36); // two rows of two groups
            for (int group = 0; group < 4; group++) {
                assertThat(w.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, group * 36L))
                        .isEqualTo(group < 2 ? 0 : 1);
                assertThat(w.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, group * 36L + 4))
                        .isEqualTo(2f + group * 8);
            }
            weights.release(w);
            assertThatThrownBy(() -> w.data().get(ValueLayout.JAVA_BYTE, 0)).isInstanceOf(IllegalStateException.class);
            assertThat(weights.bytes()).isEqualTo(136);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "w_scale|other|tensor w is F8_E4M3 and has no scales",
                "[2, 64]|[4, 32]|tensor w: its scales are neither one, nor one per row, nor one per square",
                "[2, 64]|[8, 16]|tensor w: a matrix whose columns are a multiple of 32 is needed",
                "[2, 64]|[128]|tensor w: a matrix whose columns are a multiple of 32 is needed",
                "[8, 136]|[0, 128]|overlap",
                "[2, 64]|[2, 65]|tensor w has 128 bytes of data, its shape and dtype ask for 130",
            })
    void refusesFloat8sThatHaveNoSense(String part, String instead, String message) throws IOException {
        write("model.safetensors", FLOAT8.replace(part, instead), 136);
        assertThatThrownBy(() -> {
                    try (SafetensorsWeights weights = new SafetensorsWeights(SafetensorsDirectory.open(folder))) {
                        weights.tensor("w");
                    }
                })
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining(message);
    }

    @ParameterizedTest
    @CsvSource({"0", "1", "-1", "9223372036854775807", "1000"})
    void refusesHeaderLengthsThatTheFileCannotHold(long length) throws IOException {
        byte[] bytes = new byte[64];
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
        Files.write(folder.resolve("model.safetensors"), bytes);
        assertThatThrownBy(() -> SafetensorsDirectory.open(folder).close())
                .isInstanceOf(WeightsException.class)
                .hasMessageContaining("header length is " + Long.toUnsignedString(length) + ", allowed are 2 to 56");
    }
}
