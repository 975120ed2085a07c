package dev.quire.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Against constants made by the Python packages gguf and PyTorch; see src/test/python/dequantise.py. */
class DequantiserTest {
    @ParameterizedTest
    @EnumSource(DType.class)
    void givesTheFloatsOfTheReferenceBitForBit(DType type) throws IOException {
        String[] lines = resource("/dequant/" + type + ".txt").split("\n", -1);
        byte[] bytes = HexFormat.of().parseHex(lines[0]);
        String[] bits = lines[1].split(" ", -1);
        assertThat((long) bytes.length).isEqualTo(type.bytes(bits.length));
        float[] actual = new float[bits.length];
        Dequantiser.row(type, bytes, bits.length, actual);
        for (int i = 0; i < bits.length; i++) {
            float expected = Float.intBitsToFloat((int) Long.parseLong(bits[i], 16));
            if (Float.isNaN(expected)) {
                assertThat(actual[i]).as("element %d", i).isNaN();
            } else {
                assertThat(actual[i]).as("element %d", i).isEqualTo(expected);
            }
        }
    }

    private static String resource(String name) throws IOException {
        try (InputStream in = DequantiserTest.class.getResourceAsStream(name)) {
            assertThat(in).as(name).isNotNull();
            return new String(in.readAllBytes(), StandardCharsets.US_ASCII);
        }
    }
}
