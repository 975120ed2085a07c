// simd.h with AVX-512 F, BW, DQ, VL and VNNI, and BF16 where the level has it: one zmm register per vector.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12 takes its own undefined vectors for ours
#include <immintrin.h>
#pragma GCC diagnostic pop

namespace quire::QR_LEVEL {

using F = __m512;
using I = __m512i;
using Bytes = __m512i;

QR_INLINE __mmask16 first(int n) { return (__mmask16)((1u << n) - 1); }

QR_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
QR_INLINE F load_n(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
QR_INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }
QR_INLINE void store_n(float* p, F x, int n) { _mm512_mask_storeu_ps(p, first(n), x); }
QR_INLINE F set1(float x) { return _mm512_set1_ps(x); }
QR_INLINE F zero() { return _mm512_setzero_ps(); }
QR_INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
QR_INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
QR_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
QR_INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
QR_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
QR_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
QR_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }

QR_INLINE I set1_int(int32_t x) { return _mm512_set1_epi32(x); }
QR_INLINE I as_int(F x) { return _mm512_castps_si512(x); }
QR_INLINE F as_float(I x) { return _mm512_castsi512_ps(x); }
QR_INLINE I add(I a, I b) { return _mm512_add_epi32(a, b); }
QR_INLINE I add_int(I a, int32_t b) { return _mm512_add_epi32(a, _mm512_set1_epi32(b)); }
QR_INLINE I shift_left_23(I x) { return _mm512_slli_epi32(x, 23); }
QR_INLINE I shift_left_8(I x) { return _mm512_slli_epi32(x, 8); }
QR_INLINE I shift_left(I x, int32_t bits) { return _mm512_sllv_epi32(x, _mm512_set1_epi32(bits)); }
QR_INLINE I abs_bits(F x) {
  return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
}
QR_INLINE I max_bits(I a, I b) { return _mm512_max_epi32(a, b); }
QR_INLINE I round_int(F x) { return _mm512_cvtps_epi32(x); }
QR_INLINE F to_float(I x) { return _mm512_cvtepi32_ps(x); }
QR_INLINE int32_t largest_int(I x) { return _mm512_reduce_max_epi32(x); }
QR_INLINE int32_t sum_int(I x) { return _mm512_reduce_add_epi32(x); }
/// op over pairs of neighbouring lanes, then of pairs, and so on, of 16 vectors at once: lane i of the result is vector i's.
template <class Op>
QR_INLINE I reduce_each(const int32_t (*x)[16], Op op) {
  I eight[8], four[4];
  QR_UNROLL for (int i = 0; i < 8; i++) {
    const I a = _mm512_loadu_si512(x[i]), b = _mm512_loadu_si512(x[i + 8]);
    eight[i] = op(_mm512_shuffle_i64x2(a, b, 0x44), _mm512_shuffle_i64x2(a, b, 0xee));
  }
  QR_UNROLL for (int i = 0; i < 4; i++) {
    const I a = eight[i], b = eight[i + 4];
    four[i] = op(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
  }
  // Each 128-bit part is a vector now, in the order 0, 8, 4, 12 (+ i).
  const I low = op(_mm512_unpacklo_epi32(four[0], four[1]), _mm512_unpackhi_epi32(four[0], four[1]));
  const I high = op(_mm512_unpacklo_epi32(four[2], four[3]), _mm512_unpackhi_epi32(four[2], four[3]));
  const I mixed = op(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
  return _mm512_shuffle_i64x2(mixed, mixed, 0xd8);
}
QR_INLINE I largest_each(const int32_t (*x)[16]) {
  return reduce_each(x, [](I a, I b) __attribute__((always_inline)) { return _mm512_max_epi32(a, b); });
}
QR_INLINE I sum_each(const int32_t (*x)[16]) {
  return reduce_each(x, [](I a, I b) __attribute__((always_inline)) { return _mm512_add_epi32(a, b); });
}
QR_INLINE void store_int(int32_t* p, I x) { _mm512_storeu_si512(p, x); }
QR_INLINE void store_bytes(int8_t* p, I x) { _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8(x)); }

QR_INLINE F zero_below(F y, F x, float limit) {
  return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_LT_OQ),
                            _mm512_setzero_ps());
}
QR_INLINE F keep_lanes(F x, int from, int to, float other) {
  return _mm512_mask_mov_ps(_mm512_set1_ps(other), (__mmask16)(first(to) & ~first(from)), x);
}
QR_INLINE I count_not_le(I acc, F x, F limit) {
  return _mm512_mask_add_epi32(acc, _mm512_cmp_ps_mask(x, limit, _CMP_NLE_UQ), acc,
                               _mm512_set1_epi32(1));
}
QR_INLINE bool any(I x) { return _mm512_test_epi32_mask(x, x) != 0; }

QR_INLINE float sum(F x) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

QR_INLINE F load_f16(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p));
}
QR_INLINE F load_bf16(const uint16_t* p) {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16));
}

QR_INLINE void store_halves(uint16_t* p, F pairs, int half) {
  const __m128i shift = _mm_cvtsi32_si128(16 * half);
  const __mmask32 mask = 0x55555555u << half;
  const I low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(as_int(pairs)));
  const I high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(as_int(pairs), 1));
  _mm512_mask_storeu_epi16(p, mask, _mm512_sll_epi32(low, shift));
  _mm512_mask_storeu_epi16(p + 32, mask, _mm512_sll_epi32(high, shift));
}
QR_INLINE F keep_bits(F x, uint32_t bits) {
  return as_float(_mm512_and_si512(as_int(x), _mm512_set1_epi32((int32_t)bits)));
}
#if defined(__AVX512BF16__)
QR_INLINE F pack_bf16(F low, F high) { return as_float((__m512i)_mm512_cvtne2ps_pbh(high, low)); }
QR_INLINE F dot_bf16(F a, F b, F sum) {
  return _mm512_dpbf16_ps(sum, (__m512bh)as_int(a), (__m512bh)as_int(b));
}
#else
QR_INLINE __m256i round_bf16(F x) {
  const I bits = as_int(x);
  const I odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const I rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc00000)), 16));
}
QR_INLINE F pack_bf16(F low, F high) {
  return as_float(_mm512_inserti64x4(_mm512_castsi256_si512(round_bf16(low)), round_bf16(high), 1));
}
QR_INLINE F dot_bf16(F a, F b, F sum) {
  const F odd = fma(keep_bits(a, 0xffff0000u), keep_bits(b, 0xffff0000u), sum);
  return fma(as_float(_mm512_slli_epi32(as_int(a), 16)), as_float(_mm512_slli_epi32(as_int(b), 16)), odd);
}
#endif

QR_INLINE I load_int8(const uint16_t* p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)p)); }
QR_INLINE I load_int8_n(const uint16_t* p, int n) {
  return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi16(first(n), p));
}
QR_INLINE I pack_int16(I low, I high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(low)), _mm512_cvtepi32_epi16(high), 1);
}
QR_INLINE I dot_int16(I a, I b, I sum) { return _mm512_dpwssd_epi32(sum, a, b); }
QR_INLINE I shift_right_16(I x) { return _mm512_srli_epi32(x, 16); }

QR_INLINE Bytes load_bytes(const uint8_t* p) { return _mm512_loadu_si512(p); }
QR_INLINE Bytes low_nibbles(Bytes x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
QR_INLINE Bytes high_nibbles(Bytes x) {
  return _mm512_and_si512(_mm512_srli_epi16(x, 4), _mm512_set1_epi8(15));
}

QR_INLINE I dot_words(Bytes w, int32_t x) { return _mm512_madd_epi16(w, _mm512_set1_epi32(x)); }

template <int kBits>
struct Dot {
  I acc;
  QR_INLINE_MEMBER void start(int32_t init) { acc = _mm512_set1_epi32(init); }
  QR_INLINE_MEMBER void add(Bytes w, int32_t x) {
    acc = _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(x));
  }
  QR_INLINE_MEMBER I done(int32_t) const { return acc; }
};

// Register blocking: 32 registers.
constexpr int kLinearRows = 8, kPlainRows = 4, kScoreRows = 4, kAttentionCols = 4;

}  // namespace quire::QR_LEVEL
