package dev.quire.kernels;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Turns stored elements into floats, exactly as the GGUF block formats define them. Input is a row's bytes, little
 * endian; each format computes in float what the format's definition computes in float.
 */
final class Dequantiser {
    private static final VarHandle SHORTS =
            MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INTS = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

    private Dequantiser() {}

    /** Writes {@code elements} floats to {@code out}; {@code bytes} holds {@code type.bytes(elements)} bytes. */
    static void row(DType type, byte[] bytes, int elements, float[] out) {
        int step = type.blockElements();
        int size = type.blockBytes();
        for (int e = 0, at = 0; e < elements; e += step, at += size) {
            switch (type) {
                case F32 -> out[e] = Float.intBitsToFloat((int) INTS.get(bytes, at));
                case F16 -> out[e] = half(bytes, at);
                case BF16 -> out[e] = Float.intBitsToFloat((short) SHORTS.get(bytes, at) << 16);
                case Q4_0 -> q4(bytes, at + 2, half(bytes, at), -8 * half(bytes, at), out, e);
                case Q4_1 -> q4(bytes, at + 4, half(bytes, at), half(bytes, at + 2), out, e);
                case Q5_0 -> q5(bytes, at + 2, half(bytes, at), -16 * half(bytes, at), out, e);
                case Q5_1 -> q5(bytes, at + 4, half(bytes, at), half(bytes, at + 2), out, e);
                case Q8_0 -> q8(bytes, at, out, e);
                case Q4_K -> q4k(bytes, at, out, e);
                case Q5_K -> q5k(bytes, at, out, e);
                case Q6_K -> q6k(bytes, at, out, e);
                case F8_E4M3 -> f8(bytes, at, out, e);
            }
        }
    }

    /** A float scale, then 32 codes. */
    private static void f8(byte[] b, int at, float[] out, int e) {
        float scale = Float.intBitsToFloat((int) INTS.get(b, at));
        for (int j = 0; j < 32; j++) {
            out[e + j] = scale * e4m3(b[at + 4 + j]);
        }
    }

    /** A sign, four bits of exponent with bias 7, three of mantissa; no infinities, NaN where all but the sign are set. */
    static float e4m3(byte code) {
        int exponent = code >>> 3 & 15;
        int mantissa = code & 7;
        float magnitude = exponent == 0 ? mantissa * 0x1p-9f : Math.scalb(8f + mantissa, exponent - 10);
        magnitude = (code & 127) == 127 ? Float.NaN : magnitude;
        return code < 0 ? -magnitude : magnitude;
    }

    private static float half(byte[] bytes, int at) {
        return Float.float16ToFloat((short) SHORTS.get(bytes, at));
    }

    /**
     * 32 nibbles: element j in the low half of byte j, element 16 + j in the high half. The centred formats come here
     * with {@code min = -8 d}, which gives the same floats because eleven and four bits multiply without rounding.
     */
    private static void q4(byte[] b, int at, float d, float min, float[] out, int e) {
        for (int j = 0; j < 16; j++) {
            int low = b[at + j] & 15;
            int high = b[at + j] >>> 4 & 15;
            out[e + j] = low * d + min;
            out[e + 16 + j] = high * d + min;
        }
    }

    /** As {@link #q4} with a fifth bit per element, gathered in the four bytes before the nibbles. */
    private static void q5(byte[] b, int at, float d, float min, float[] out, int e) {
        int fifth = (int) INTS.get(b, at);
        for (int j = 0; j < 16; j++) {
            int low = (b[at + 4 + j] & 15) | (fifth >>> j & 1) << 4;
            int high = (b[at + 4 + j] >>> 4 & 15) | (fifth >>> (j + 16) & 1) << 4;
            out[e + j] = low * d + min;
            out[e + 16 + j] = high * d + min;
        }
    }

    private static void q8(byte[] b, int at, float[] out, int e) {
        float d = half(b, at);
        for (int j = 0; j < 32; j++) {
            out[e + j] = b[at + 2 + j] * d;
        }
    }

    /** Six-bit scale of group {@code g} (0..7), packed with its minimum in twelve bytes. */
    private static int scaleK(byte[] b, int at, int g) {
        return g < 4 ? b[at + g] & 63 : (b[at + g + 4] & 15) | (b[at + g - 4] & 0xC0) >>> 2;
    }

    private static int minK(byte[] b, int at, int g) {
        return g < 4 ? b[at + g + 4] & 63 : (b[at + g + 4] & 0xF0) >>> 4 | (b[at + g] & 0xC0) >>> 2;
    }

    private static void q4k(byte[] b, int at, float[] out, int e) {
        float d = half(b, at);
        float dmin = half(b, at + 2);
        for (int g = 0; g < 8; g++) {
            float scale = d * scaleK(b, at + 4, g);
            float min = dmin * minK(b, at + 4, g);
            int quants = at + 16 + g / 2 * 32;
            int shift = g % 2 * 4;
            for (int j = 0; j < 32; j++) {
                out[e + g * 32 + j] = scale * (b[quants + j] >>> shift & 15) - min;
            }
        }
    }

    private static void q5k(byte[] b, int at, float[] out, int e) {
        float d = half(b, at);
        float dmin = half(b, at + 2);
        for (int g = 0; g < 8; g++) {
            float scale = d * scaleK(b, at + 4, g);
            float min = dmin * minK(b, at + 4, g);
            int quants = at + 48 + g / 2 * 32;
            int shift = g % 2 * 4;
            for (int j = 0; j < 32; j++) {
                int q = (b[quants + j] >>> shift & 15) | (b[at + 16 + j] >>> g & 1) << 4;
                out[e + g * 32 + j] = scale * q - min;
            }
        }
    }

    /** 128 bytes of low nibbles, 64 of high bit pairs, 16 signed scales, then the half scale of all. */
    private static void q6k(byte[] b, int at, float[] out, int e) {
        float d = half(b, at + 208);
        for (int i = 0; i < 256; i++) {
            int part = i / 128;
            int lane = i % 128;
            int quarter = lane / 32;
            int low = b[at + part * 64 + lane % 64] >>> (quarter / 2 * 4) & 15;
            int high = b[at + 128 + part * 32 + lane % 32] >>> (quarter * 2) & 3;
            float scale = d * b[at + 192 + i / 16];
            out[e + i] = scale * ((low | high << 4) - 32);
        }
    }
}
