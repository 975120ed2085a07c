// simd.h with AVX2, FMA and F16C: two ymm registers per vector.
#include <immintrin.h>

namespace quire::QR_LEVEL {

struct F {
  __m256 a, b;
};
struct I {
  __m256i a, b;
};
using Bytes = I;

QR_INLINE __m256i lanes_below(int n, int first) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n - first), index);
}

QR_INLINE F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
QR_INLINE F load_n(const float* p, int n) {
  return {_mm256_maskload_ps(p, lanes_below(n, 0)), _mm256_maskload_ps(p + 8, lanes_below(n, 8))};
}
QR_INLINE void store(float* p, F x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
QR_INLINE void store_n(float* p, F x, int n) {
  _mm256_maskstore_ps(p, lanes_below(n, 0), x.a);
  _mm256_maskstore_ps(p + 8, lanes_below(n, 8), x.b);
}
QR_INLINE F set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
QR_INLINE F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
QR_INLINE F add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
QR_INLINE F sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
QR_INLINE F mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
QR_INLINE F div(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
QR_INLINE F fma(F x, F y, F z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
QR_INLINE F min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
QR_INLINE F max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }

QR_INLINE I set1_int(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
QR_INLINE I as_int(F x) { return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)}; }
QR_INLINE F as_float(I x) { return {_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)}; }
QR_INLINE I add(I x, I y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
QR_INLINE I add_int(I x, int32_t y) { return add(x, set1_int(y)); }
QR_INLINE I shift_left_23(I x) { return {_mm256_slli_epi32(x.a, 23), _mm256_slli_epi32(x.b, 23)}; }
QR_INLINE I shift_left(I x, int32_t bits) {
  const __m128i count = _mm_cvtsi32_si128(bits);
  return {_mm256_sll_epi32(x.a, count), _mm256_sll_epi32(x.b, count)};
}
QR_INLINE I shift_left_8(I x) { return {_mm256_slli_epi32(x.a, 8), _mm256_slli_epi32(x.b, 8)}; }
QR_INLINE I both(I x, I y) { return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)}; }
QR_INLINE I abs_bits(F x) { return both(as_int(x), set1_int(0x7fffffff)); }
QR_INLINE I max_bits(I x, I y) { return {_mm256_max_epi32(x.a, y.a), _mm256_max_epi32(x.b, y.b)}; }
QR_INLINE I round_int(F x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
QR_INLINE F to_float(I x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
QR_INLINE int32_t largest_int(I x) {
  const __m256i eight = _mm256_max_epi32(x.a, x.b);
  __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}
QR_INLINE int32_t sum_int(I x) {
  const __m256i eight = _mm256_add_epi32(x.a, x.b);
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}
QR_INLINE I load_int(const int32_t* p) {
  return {_mm256_loadu_si256((const __m256i*)p), _mm256_loadu_si256((const __m256i*)(p + 8))};
}
QR_INLINE I each_of(const int32_t (*x)[16], int32_t (*reduce)(I x)) {
  int32_t lane[16];
  for (int i = 0; i < 16; i++) lane[i] = reduce(load_int(x[i]));
  return load_int(lane);
}
QR_INLINE I largest_each(const int32_t (*x)[16]) { return each_of(x, largest_int); }
QR_INLINE I sum_each(const int32_t (*x)[16]) { return each_of(x, sum_int); }
QR_INLINE void store_int(int32_t* p, I x) {
  _mm256_storeu_si256((__m256i*)p, x.a);
  _mm256_storeu_si256((__m256i*)(p + 8), x.b);
}
QR_INLINE void store_bytes(int8_t* p, I x) {
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8);
  _mm_storeu_si128((__m128i*)p, _mm_packs_epi16(_mm256_castsi256_si128(words),
                                                _mm256_extracti128_si256(words, 1)));
}

QR_INLINE F zero_below(F y, F x, float limit) {
  const __m256 l = _mm256_set1_ps(limit);
  return {_mm256_andnot_ps(_mm256_cmp_ps(x.a, l, _CMP_LT_OQ), y.a),
          _mm256_andnot_ps(_mm256_cmp_ps(x.b, l, _CMP_LT_OQ), y.b)};
}
QR_INLINE F keep_lanes(F x, int from, int to, float other) {
  const __m256 o = _mm256_set1_ps(other);
  const __m256i a = _mm256_andnot_si256(lanes_below(from, 0), lanes_below(to, 0));
  const __m256i b = _mm256_andnot_si256(lanes_below(from, 8), lanes_below(to, 8));
  return {_mm256_blendv_ps(o, x.a, _mm256_castsi256_ps(a)),
          _mm256_blendv_ps(o, x.b, _mm256_castsi256_ps(b))};
}
QR_INLINE I count_not_le(I acc, F x, F limit) {
  return {_mm256_sub_epi32(acc.a, _mm256_castps_si256(_mm256_cmp_ps(x.a, limit.a, _CMP_NLE_UQ))),
          _mm256_sub_epi32(acc.b, _mm256_castps_si256(_mm256_cmp_ps(x.b, limit.b, _CMP_NLE_UQ)))};
}
QR_INLINE bool any(I x) {
  const __m256i either = _mm256_or_si256(x.a, x.b);
  return !_mm256_testz_si256(either, either);
}

QR_INLINE float sum(F x) {
  const __m256 eight = _mm256_add_ps(x.a, x.b);
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

QR_INLINE F load_f16(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)),
          _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(p + 8)))};
}
QR_INLINE F load_bf16(const uint16_t* p) {
  const __m256i a = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p));
  const __m256i b = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)(p + 8)));
  return as_float(I{_mm256_slli_epi32(a, 16), _mm256_slli_epi32(b, 16)});
}

QR_INLINE void store_halves(uint16_t* p, F pairs, int half) {
  uint16_t halves[32];
  store((float*)halves, pairs);
  for (int i = 0; i < 32; i++) p[2 * i + half] = halves[i];
}
QR_INLINE F keep_bits(F x, uint32_t bits) {
  const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32((int32_t)bits));
  return {_mm256_and_ps(x.a, mask), _mm256_and_ps(x.b, mask)};
}
QR_INLINE __m256i round_bf16(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q), quiet = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000));
  return _mm256_srli_epi32(_mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(rounded), quiet, nan)), 16);
}
QR_INLINE __m256i pack_halves(F x) {
  return _mm256_permute4x64_epi64(_mm256_packus_epi32(round_bf16(x.a), round_bf16(x.b)), 0xd8);
}
QR_INLINE F pack_bf16(F low, F high) { return as_float(I{pack_halves(low), pack_halves(high)}); }
QR_INLINE F dot_bf16(F a, F b, F sum) {
  const I x = as_int(a), y = as_int(b);
  const F even_x = as_float(I{_mm256_slli_epi32(x.a, 16), _mm256_slli_epi32(x.b, 16)});
  const F even_y = as_float(I{_mm256_slli_epi32(y.a, 16), _mm256_slli_epi32(y.b, 16)});
  return fma(even_x, even_y, fma(keep_bits(a, 0xffff0000u), keep_bits(b, 0xffff0000u), sum));
}

QR_INLINE I load_int8(const uint16_t* p) {
  return {_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)p)),
          _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)(p + 8)))};
}
QR_INLINE I load_int8_n(const uint16_t* p, int n) {
  uint16_t words[16] = {};
  memcpy(words, p, (size_t)n * 2);
  return load_int8(words);
}
QR_INLINE I pack_int16(I low, I high) {
  return {_mm256_permute4x64_epi64(_mm256_packs_epi32(low.a, low.b), 0xd8),
          _mm256_permute4x64_epi64(_mm256_packs_epi32(high.a, high.b), 0xd8)};
}
QR_INLINE I dot_int16(I x, I y, I sum) {
  return add(sum, I{_mm256_madd_epi16(x.a, y.a), _mm256_madd_epi16(x.b, y.b)});
}
QR_INLINE I shift_right_16(I x) { return {_mm256_srli_epi32(x.a, 16), _mm256_srli_epi32(x.b, 16)}; }

QR_INLINE Bytes load_bytes(const uint8_t* p) {
  return {_mm256_loadu_si256((const __m256i*)p), _mm256_loadu_si256((const __m256i*)(p + 32))};
}
QR_INLINE Bytes low_nibbles(Bytes x) {
  const __m256i mask = _mm256_set1_epi8(15);
  return {_mm256_and_si256(x.a, mask), _mm256_and_si256(x.b, mask)};
}
QR_INLINE Bytes high_nibbles(Bytes x) {
  return low_nibbles({_mm256_srli_epi16(x.a, 4), _mm256_srli_epi16(x.b, 4)});
}

QR_INLINE I dot_words(Bytes w, int32_t x) {
  const __m256i two = _mm256_set1_epi32(x);
  return {_mm256_madd_epi16(w.a, two), _mm256_madd_epi16(w.b, two)};
}

/// Per 32-bit lane the sum of four u8 x s8 products.
QR_INLINE __m256i quad_sums(__m256i w, __m256i even, __m256i odd) {
  const __m256i w_even = _mm256_and_si256(w, _mm256_set1_epi16(255));
  const __m256i w_odd = _mm256_srli_epi16(w, 8);
  return _mm256_add_epi32(_mm256_madd_epi16(w_even, even), _mm256_madd_epi16(w_odd, odd));
}

template <int kBits>
struct Dot;

/// Codes up to 15: a group's 8 pair sums, each at most 2 * 15 * 128, add up within 16 bits.
template <>
struct Dot<4> {
  I acc;
  QR_INLINE_MEMBER void start(int32_t) { acc = set1_int(0); }
  QR_INLINE_MEMBER void add(Bytes w, int32_t x) {
    const __m256i four = _mm256_set1_epi32(x);
    acc.a = _mm256_add_epi16(acc.a, _mm256_maddubs_epi16(w.a, four));
    acc.b = _mm256_add_epi16(acc.b, _mm256_maddubs_epi16(w.b, four));
  }
  QR_INLINE_MEMBER I done(int32_t init) const {
    const __m256i ones = _mm256_set1_epi16(1), first = _mm256_set1_epi32(init);
    return {_mm256_add_epi32(first, _mm256_madd_epi16(acc.a, ones)),
            _mm256_add_epi32(first, _mm256_madd_epi16(acc.b, ones))};
  }
};

/// Codes up to 255: even and odd bytes as 16-bit words, so that no product saturates.
template <>
struct Dot<8> {
  I acc;
  QR_INLINE_MEMBER void start(int32_t init) { acc = set1_int(init); }
  QR_INLINE_MEMBER void add(Bytes w, int32_t x) {
    const __m256i four = _mm256_set1_epi32(x);
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(four, 8), 8);
    const __m256i odd = _mm256_srai_epi16(four, 8);
    acc.a = _mm256_add_epi32(acc.a, quad_sums(w.a, even, odd));
    acc.b = _mm256_add_epi32(acc.b, quad_sums(w.b, even, odd));
  }
  QR_INLINE_MEMBER I done(int32_t) const { return acc; }
};

// Register blocking: 16 registers, two per vector.
constexpr int kLinearRows = 2, kPlainRows = 4, kScoreRows = 4, kAttentionCols = 1;

}  // namespace quire::QR_LEVEL
