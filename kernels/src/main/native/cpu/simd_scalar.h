// simd.h in plain C++: sixteen lanes in a loop.
#include <math.h>

namespace quire::QR_LEVEL {

struct F {
  float v[16];
};
struct I {
  int32_t v[16];
};
struct Bytes {
  uint8_t v[64];
};

template <class Out, class Function>
QR_INLINE Out lanes(Function f) {
  Out out;
  for (int i = 0; i < 16; i++) out.v[i] = f(i);
  return out;
}

QR_INLINE F load(const float* p) {
  return lanes<F>([=](int i) { return p[i]; });
}
QR_INLINE F load_n(const float* p, int n) {
  return lanes<F>([=](int i) { return i < n ? p[i] : 0.0f; });
}
QR_INLINE void store_n(float* p, F x, int n) {
  for (int i = 0; i < n; i++) p[i] = x.v[i];
}
QR_INLINE void store(float* p, F x) { store_n(p, x, 16); }
QR_INLINE F set1(float x) {
  return lanes<F>([=](int) { return x; });
}
QR_INLINE F zero() { return set1(0.0f); }
QR_INLINE F add(const F& a, const F& b) {
  return lanes<F>([&](int i) { return a.v[i] + b.v[i]; });
}
QR_INLINE F sub(const F& a, const F& b) {
  return lanes<F>([&](int i) { return a.v[i] - b.v[i]; });
}
QR_INLINE F mul(const F& a, const F& b) {
  return lanes<F>([&](int i) { return a.v[i] * b.v[i]; });
}
QR_INLINE F div(const F& a, const F& b) {
  return lanes<F>([&](int i) { return a.v[i] / b.v[i]; });
}
QR_INLINE F fma(const F& a, const F& b, const F& c) {
  return lanes<F>([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
}
QR_INLINE F min(const F& a, const F& b) {
  return lanes<F>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
QR_INLINE F max(const F& a, const F& b) {
  return lanes<F>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}

QR_INLINE I set1_int(int32_t x) {
  return lanes<I>([=](int) { return x; });
}
QR_INLINE I as_int(const F& x) {
  return lanes<I>([&](int i) { return (int32_t)float_to_bits(x.v[i]); });
}
QR_INLINE F as_float(const I& x) {
  return lanes<F>([&](int i) { return bits_to_float((uint32_t)x.v[i]); });
}
QR_INLINE I add(const I& a, const I& b) {
  return lanes<I>([&](int i) { return (int32_t)((uint32_t)a.v[i] + (uint32_t)b.v[i]); });
}
QR_INLINE I add_int(const I& a, int32_t b) { return add(a, set1_int(b)); }
QR_INLINE I shift_left_23(const I& x) {
  return lanes<I>([&](int i) { return (int32_t)((uint32_t)x.v[i] << 23); });
}
QR_INLINE I shift_left(const I& x, int32_t bits) {
  return lanes<I>([=](int i) { return (int32_t)((uint32_t)x.v[i] << bits); });
}
QR_INLINE I shift_left_8(const I& x) {
  return lanes<I>([&](int i) { return (int32_t)((uint32_t)x.v[i] << 8); });
}
QR_INLINE I abs_bits(const F& x) {
  return lanes<I>([&](int i) { return (int32_t)(float_to_bits(x.v[i]) & 0x7fffffff); });
}
QR_INLINE I max_bits(const I& a, const I& b) {
  return lanes<I>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
/// Only for |x| < 2^22, which is all that the kernels ask for.
QR_INLINE I round_int(const F& x) {
  return lanes<I>([&](int i) {
    return (int32_t)(float_to_bits(x.v[i] + 12582912.0f) - 0x4B400000u);
  });
}
QR_INLINE F to_float(const I& x) {
  return lanes<F>([&](int i) { return (float)x.v[i]; });
}
QR_INLINE int32_t largest_int(const I& x) {
  int32_t most = x.v[0];
  for (int i = 1; i < 16; i++) most = x.v[i] > most ? x.v[i] : most;
  return most;
}
QR_INLINE int32_t sum_int(const I& x) {
  int32_t total = 0;
  for (int i = 0; i < 16; i++) total += x.v[i];
  return total;
}
QR_INLINE I load_int(const int32_t* p) {
  return lanes<I>([=](int i) { return p[i]; });
}
QR_INLINE I each_of(const int32_t (*x)[16], int32_t (*reduce)(const I& x)) {
  int32_t lane[16];
  for (int i = 0; i < 16; i++) lane[i] = reduce(load_int(x[i]));
  return load_int(lane);
}
QR_INLINE I largest_each(const int32_t (*x)[16]) { return each_of(x, largest_int); }
QR_INLINE I sum_each(const int32_t (*x)[16]) { return each_of(x, sum_int); }
QR_INLINE void store_int(int32_t* p, const I& x) {
  for (int i = 0; i < 16; i++) p[i] = x.v[i];
}
QR_INLINE void store_bytes(int8_t* p, const I& x) {
  for (int i = 0; i < 16; i++) p[i] = (int8_t)x.v[i];
}

QR_INLINE F zero_below(const F& y, const F& x, float limit) {
  return lanes<F>([&](int i) { return x.v[i] < limit ? 0.0f : y.v[i]; });
}
QR_INLINE F keep_lanes(const F& x, int from, int to, float other) {
  return lanes<F>([&](int i) { return i >= from && i < to ? x.v[i] : other; });
}
QR_INLINE I count_not_le(const I& acc, const F& x, const F& limit) {
  return lanes<I>([&](int i) { return acc.v[i] + (x.v[i] <= limit.v[i] ? 0 : 1); });
}
QR_INLINE bool any(const I& x) {
  int32_t bits = 0;
  for (int i = 0; i < 16; i++) bits |= x.v[i];
  return bits != 0;
}

QR_INLINE float sum(F x) {
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; i++) x.v[i] += x.v[i + width];
  }
  return x.v[0];
}

QR_INLINE F load_f16(const uint16_t* p) {
  return lanes<F>([=](int i) { return f16_to_float(p[i]); });
}
QR_INLINE F load_bf16(const uint16_t* p) {
  return lanes<F>([=](int i) { return bf16_to_float(p[i]); });
}

QR_INLINE void store_halves(uint16_t* p, F pairs, int half) {
  uint16_t halves[32];
  store((float*)halves, pairs);
  for (int i = 0; i < 32; i++) p[2 * i + half] = halves[i];
}
QR_INLINE F keep_bits(const F& x, uint32_t bits) {
  return lanes<F>([&](int i) { return bits_to_float(float_to_bits(x.v[i]) & bits); });
}
QR_INLINE F pack_bf16(const F& low, const F& high) {
  uint16_t halves[32];
  for (int i = 0; i < 32; i++) halves[i] = float_to_bf16(i < 16 ? low.v[i] : high.v[i - 16]);
  F out;
  memcpy(out.v, halves, 64);
  return out;
}
QR_INLINE F dot_bf16(const F& a, const F& b, const F& sum) {
  return lanes<F>([&](int i) {
    const uint32_t x = float_to_bits(a.v[i]), y = float_to_bits(b.v[i]);
    const float odd = __builtin_fmaf(bits_to_float(x & 0xffff0000), bits_to_float(y & 0xffff0000), sum.v[i]);
    return __builtin_fmaf(bits_to_float(x << 16), bits_to_float(y << 16), odd);
  });
}

QR_INLINE I load_int8_n(const uint16_t* p, int n) {
  int8_t codes[32] = {};
  memcpy(codes, p, (size_t)n * 2);
  int16_t words[32];
  for (int i = 0; i < 32; i++) words[i] = codes[i];
  I out;
  memcpy(out.v, words, 64);
  return out;
}
QR_INLINE I load_int8(const uint16_t* p) { return load_int8_n(p, 16); }
QR_INLINE I pack_int16(const I& low, const I& high) {
  int16_t words[32];
  for (int i = 0; i < 32; i++) words[i] = (int16_t)(i < 16 ? low.v[i] : high.v[i - 16]);
  I out;
  memcpy(out.v, words, 64);
  return out;
}
QR_INLINE I dot_int16(const I& a, const I& b, const I& sum) {
  int16_t x[32], y[32];
  memcpy(x, a.v, 64);
  memcpy(y, b.v, 64);
  return lanes<I>([&](int i) { return sum.v[i] + x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1]; });
}
QR_INLINE I shift_right_16(const I& x) {
  return lanes<I>([&](int i) { return (int32_t)((uint32_t)x.v[i] >> 16); });
}

QR_INLINE Bytes load_bytes(const uint8_t* p) {
  Bytes out;
  memcpy(out.v, p, 64);
  return out;
}
QR_INLINE Bytes low_nibbles(const Bytes& x) {
  Bytes out;
  for (int i = 0; i < 64; i++) out.v[i] = x.v[i] & 15;
  return out;
}
QR_INLINE Bytes high_nibbles(const Bytes& x) {
  Bytes out;
  for (int i = 0; i < 64; i++) out.v[i] = x.v[i] >> 4;
  return out;
}

QR_INLINE I dot_words(const Bytes& w, int32_t x) {
  int16_t words[32], two[2];
  memcpy(words, w.v, 64);
  memcpy(two, &x, 4);
  return lanes<I>([&](int i) { return words[2 * i] * two[0] + words[2 * i + 1] * two[1]; });
}

template <int kBits>
struct Dot {
  I acc;
  QR_INLINE_MEMBER void start(int32_t init) { acc = set1_int(init); }
  QR_INLINE_MEMBER void add(const Bytes& w, int32_t x) {
    int8_t four[4];
    memcpy(four, &x, 4);
    for (int i = 0; i < 16; i++) {
      acc.v[i] += w.v[4 * i] * four[0] + w.v[4 * i + 1] * four[1] + w.v[4 * i + 2] * four[2] +
                  w.v[4 * i + 3] * four[3];
    }
  }
  QR_INLINE_MEMBER I done(int32_t) const { return acc; }
};

constexpr int kLinearRows = 1, kPlainRows = 1, kScoreRows = 1, kAttentionCols = 1;

}  // namespace quire::QR_LEVEL
