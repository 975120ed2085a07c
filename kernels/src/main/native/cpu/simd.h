// The vector vocabulary of the kernels: F is 16 floats, I is 16 int32, Bytes is 64 bytes, on every level.
//
// A kernel written with it gives the same bits on every level, because each function is one correctly rounded
// operation (or a fixed sequence of them) on the same 16 lanes. Three implementations, chosen by QR_LEVEL_*:
//   load, load_n (first n lanes, others 0), store, store_n, set1, zero; add, sub, mul, div, fma(a, b, c) = a b + c;
//   min, max: (a < b ? a : b) and (a > b ? a : b), so b where either is NaN; abs_bits, max_bits on the bit patterns;
//   largest_each, sum_each(x[16][16]): lane i is that of x[i];
//   round_int to nearest even, to_float, as_int, as_float, add_int, shift_left(x, n), shift_left_8, shift_left_23;
//   largest_int, sum_int of the lanes;
//   zero_below(y, x, limit): 0 where x < limit, else y;  keep_lanes(x, from, to, other);
//   count_not_le(acc, x, limit): acc + 1 where not x <= limit;  any(I)
//   load_f16, load_bf16;  keep_bits(x, bits)
//   sum(x) of the lanes as a tree: i with i + 8, then + 4, + 2, + 1;
//   pack_bf16(low, high): 32 floats rounded to bfloat16, two in each lane, in order;
//   store_halves(p, pairs, half): 32 of them to p[2 i + half], nothing to what lies between;
//   dot_bf16(a, b, sum): sum + a_odd b_odd, then + a_even b_even, of such pairs; denormal numbers may count as zero
//   load_int8(p), load_int8_n: 16 pairs of int8 (the first n, others 0) as pairs of int16, a pair in each lane;
//   pack_int16(low, high): 32 int32 that fit as pairs of int16, in order;  dot_int16(a, b, sum): sum + the products of
//   both halves;  shift_right_16 of each lane, zeros coming in;
//   dot_words(w, x): per lane the sum of two products of int16, w's and those of x;
//   Dot<4>, Dot<8>: exact sums of u8 x s8 products, 4 neighbours per lane, for codes of at most 15 / 255.
#ifndef QUIRE_CPU_SIMD_H
#define QUIRE_CPU_SIMD_H

#include <stdint.h>
#include <string.h>

#include "half.h"

#if defined(QR_LEVEL_AVX512) || defined(QR_LEVEL_AVX2)
#define QR_INLINE static inline __attribute__((always_inline))
#define QR_INLINE_MEMBER inline __attribute__((always_inline))
#define QR_UNROLL _Pragma("GCC unroll 16")
#else  // vectors in memory: unrolling them only costs compile time
#define QR_INLINE static inline
#define QR_INLINE_MEMBER inline
#define QR_UNROLL
#endif

#if defined(QR_LEVEL_AVX512)
#include "simd_avx512.h"
#elif defined(QR_LEVEL_AVX2)
#include "simd_avx2.h"
#else
#include "simd_scalar.h"
#endif

namespace quire::QR_LEVEL {

template <int kCount>
struct Count {
  static constexpr int value = kCount;
};

/// Largest lane; NaN when a lane is NaN.
QR_INLINE float largest(F x) {
  float lane[16];
  store(lane, x);
  float best = lane[0];
  for (int i = 1; i < 16; i++) best = best > lane[i] ? best : lane[i];
  return best;
}

/// e^x within 2 ulp: 0 below -87.3, the value at 88.37 above it, NaN for NaN.
QR_INLINE F exp(F x) {
  const float round = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  const F clamped = max(set1(-87.33654f), min(set1(88.37626f), x));
  const F shifted = fma(clamped, set1(1.44269504f), set1(round));
  const F n = sub(shifted, set1(round));
  F r = fma(n, set1(-0.693359375f), clamped);
  r = fma(n, set1(2.12194440e-4f), r);
  F p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  p = add(fma(p, mul(r, r), r), set1(1.0f));
  const F scale = as_float(add_int(shift_left_23(as_int(shifted)), 127 << 23));
  return zero_below(mul(p, scale), x, -87.33654f);
}

/// Largest magnitude of n floats; NaN when one is NaN.
QR_INLINE float largest_of(const float* x, int n) {
  I most = set1_int(0);
  for (int i = 0; i < n; i += 16) most = max_bits(most, abs_bits(load_n(x + i, n - i < 16 ? n - i : 16)));
  return bits_to_float((uint32_t)largest_int(most));
}

/// What to multiply with so that the largest magnitude becomes `most`; 0 where it is too small to count, or NaN.
QR_INLINE float factor_to(float most, float largest) { return largest > 0x1p-100f ? most / largest : 0.0f; }

/// n floats as pairs of bfloat16, in `to`, which has room for n rounded up to 32 of them; returns it.
QR_INLINE float* to_bf16(const float* x, int n, float* to) {
  int i = 0;
  for (; i + 32 <= n; i += 32) store(to + i / 2, pack_bf16(load(x + i), load(x + i + 16)));
  if (i < n) {
    const int low = n - i < 16 ? n - i : 16;
    store(to + i / 2, pack_bf16(load_n(x + i, low), low < n - i ? load_n(x + i + 16, n - i - 16) : zero()));
  }
  return to;
}

/// Pairs of E4M3 numbers, which load_int8 took for int8, as pairs of bfloat16.
QR_INLINE F e4m3_to_bf16(I codes) {
  // The 7 bits of exponent and mantissa, where bfloat16 has its own, are the number times 2^-120, subnormal or not.
  const I magnitude = as_int(keep_bits(as_float(shift_left(codes, 4)), 0x07f007f0u));
  const I small = add(magnitude, as_int(keep_bits(as_float(codes), 0x80008000u)));
  const F odd = mul(keep_bits(as_float(small), 0xffff0000u), set1(0x1p120f));
  const F even = mul(as_float(shift_left(small, 16)), set1(0x1p120f));
  return as_float(add(as_int(odd), shift_right_16(as_int(even))));
}

QR_INLINE F tanh(F x) {
  const F e = exp(add(x, x));
  return sub(set1(1.0f), div(set1(2.0f), add(e, set1(1.0f))));
}

}  // namespace quire::QR_LEVEL

#endif
