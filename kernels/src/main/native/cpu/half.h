// float16, bfloat16 and 8-bit floats on any machine.
#ifndef QUIRE_CPU_HALF_H
#define QUIRE_CPU_HALF_H

#include <stdint.h>
#include <string.h>

namespace quire {

static inline float bits_to_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static inline uint32_t float_to_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

static inline float bf16_to_float(uint16_t half) { return bits_to_float((uint32_t)half << 16); }

/// Round to nearest even; beyond the largest finite value it is infinite, NaN stays NaN.
static inline uint16_t float_to_bf16(float value) {
  const uint32_t bits = float_to_bits(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float f16_to_float(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 31, mantissa = half & 0x3ff;
  if (exponent == 31) return bits_to_float(sign | 0x7f800000 | mantissa << 13);
  if (exponent == 0) {  // subnormal: mantissa * 2^-24 is exact
    const float value = (float)mantissa * 0x1p-24f;
    return sign ? -value : value;
  }
  return bits_to_float(sign | (exponent + 112) << 23 | mantissa << 13);
}

/// Round to nearest even; beyond the largest finite value it is infinite. The value is no NaN.
static inline uint16_t float_to_f16(float value) {
  const uint32_t bits = float_to_bits(value), magnitude = bits & 0x7fffffff, sign = bits >> 16 & 0x8000;
  if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7c00);
  if (magnitude < 0x38800000) {  // subnormal: the last bit of 0.5f is 2^-24
    return (uint16_t)(sign | (float_to_bits(bits_to_float(magnitude) + 0.5f) - 0x3f000000));
  }
  return (uint16_t)(sign | (((magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13) - (112 << 10)));
}

/// E4M3 of the OCP 8-bit floating point specification: no infinities, NaN where all bits but the sign are set.
static inline float f8_e4m3_to_float(uint8_t code) {
  const uint32_t exponent = code >> 3 & 15, mantissa = code & 7, sign = (uint32_t)(code & 0x80) << 24;
  if ((code & 0x7f) == 0x7f) return bits_to_float(sign | 0x7fc00000);
  if (exponent == 0) return bits_to_float(sign | float_to_bits((float)mantissa * 0x1p-9f));
  return bits_to_float(sign | (exponent + 120) << 23 | mantissa << 20);
}

/// E4M3 of the OCP 8-bit floating point specification: round to nearest even, beyond 448 it is 448, NaN stays NaN.
static inline uint8_t float_to_f8_e4m3(float value) {
  const uint32_t bits = float_to_bits(value), magnitude = bits & 0x7fffffff, sign = bits >> 24 & 0x80;
  if (magnitude > 0x7f800000) return 0x7f;
  if (magnitude >= 0x43e00000) return (uint8_t)(sign | 0x7e);
  if (magnitude < 0x3c800000) {  // subnormal: the last bit of 16384.0f is 2^-9
    return (uint8_t)(sign | (float_to_bits(bits_to_float(magnitude) + 16384.0f) - 0x46800000));
  }
  return (uint8_t)(sign | (((magnitude + 0x7ffff + (magnitude >> 20 & 1)) >> 20) - (120 << 3)));
}

}  // namespace quire

#endif
