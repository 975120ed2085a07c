// What attention reads its operands in: words of the cache, made of whatever it holds, and softmax weights as words.
// Included by kernels.cpp.
//
// A word is 32 bits: a float32, or two neighbours that one operation multiplies with two others and sums. Neighbours are
// elements of a head in queries and keys, positions in weights and values. Two int8 or E4M3 codes become a word as they
// are loaded, or once for all rows before.

namespace quire::QR_LEVEL {

struct Float32 {
  using Word = float;  // in the cache
  using Sum = F;
  static constexpr int per_word = 1;
  static constexpr bool scaled = false;  // whether heads of keys and values have scales
  static constexpr bool exact = false;   // whether products are summed in integers, of queries with a scale
  QR_INLINE_MEMBER static Sum nothing() { return zero(); }
  QR_INLINE_MEMBER static F load(const Word* p) { return QR_LEVEL::load(p); }
};

struct Bfloat16 : Float32 {
  static constexpr int per_word = 2;
};

/// Becomes bfloat16.
struct Fp8 {
  using Word = uint16_t;
  using Sum = F;
  static constexpr int per_word = 2;
  static constexpr bool scaled = true;
  static constexpr bool exact = false;
  QR_INLINE_MEMBER static Sum nothing() { return zero(); }
  QR_INLINE_MEMBER static Sum of_float(F x) { return x; }  // the word in a float, and back
  QR_INLINE_MEMBER static F in_float(Sum x) { return x; }
  QR_INLINE_MEMBER static F sum(Sum x) { return x; }
  QR_INLINE_MEMBER static Sum load(const Word* p) { return e4m3_to_bf16(load_int8(p)); }
  QR_INLINE_MEMBER static Sum load_n(const Word* p, int n) { return e4m3_to_bf16(load_int8_n(p, n)); }
};

/// Becomes int16, as queries and weights are.
struct Int8 {
  using Word = uint16_t;
  using Sum = I;
  static constexpr int per_word = 2;
  static constexpr bool scaled = true;
  static constexpr bool exact = true;
  QR_INLINE_MEMBER static Sum nothing() { return set1_int(0); }
  QR_INLINE_MEMBER static Sum of_float(F x) { return as_int(x); }
  QR_INLINE_MEMBER static F in_float(Sum x) { return as_float(x); }
  QR_INLINE_MEMBER static F sum(Sum x) { return to_float(x); }
  QR_INLINE_MEMBER static Sum load(const Word* p) { return load_int8(p); }
  QR_INLINE_MEMBER static Sum load_n(const Word* p, int n) { return load_int8_n(p, n); }
};

/// Words that were made of codes before.
template <class Kv>
struct Expanded : Kv {
  using Word = float;
  QR_INLINE_MEMBER static typename Kv::Sum load(const Word* p) { return Kv::of_float(QR_LEVEL::load(p)); }
  QR_INLINE_MEMBER static typename Kv::Sum load_n(const Word* p, int n) { return Kv::of_float(QR_LEVEL::load_n(p, n)); }
};

/// The largest int16 that queries and weights become.
constexpr float kMostInt16 = 32767.0f;

/// A head of a query as int16 pairs, and its scale behind them. to: dim rounded up to 32.
QR_INLINE float* to_int16(const float* query, int dim, float* to) {
  const float largest = largest_of(query, dim);
  const F factor = set1(factor_to(kMostInt16, largest));
  for (int i = 0; i < dim; i += 32) {
    const int low = dim - i < 16 ? dim - i : 16, high = dim - i < 32 ? dim - i - low : 16;
    const F second = high > 0 ? load_n(query + i + 16, high) : zero();
    store(to + i / 2, as_float(pack_int16(round_int(mul(load_n(query + i, low), factor)), round_int(mul(second, factor)))));
  }
  to[dim / 2] = largest / kMostInt16;
  return to;
}

/// sum + a b, word by word.
template <class Kv>
QR_INLINE F multiply_add(F a, F b, F sum) {
  if constexpr (Kv::per_word == 1) {
    return fma(a, b, sum);
  } else {
    return dot_bf16(a, b, sum);
  }
}
template <class Kv>
QR_INLINE I multiply_add(F a, I b, I sum) {
  return dot_int16(as_int(a), b, sum);
}

/// Weights e^(scale (score - largest)) of 16 or 32 positions as words; adds them to the total as they were
/// rounded.
template <class Kv>
struct Weights;

template <>
struct Weights<Float32> {
  static constexpr int positions = 16;
  F scale, top, total = zero();
  QR_INLINE_MEMBER Weights(float scale, float top) : scale(set1(scale)), top(set1(top * scale)) {}
  QR_INLINE_MEMBER F of(F score) const { return exp(sub(mul(score, scale), top)); }
  QR_INLINE_MEMBER F words(const F* scores) {
    const F weight = of(scores[0]);
    total = add(total, weight);
    return weight;
  }
};

template <>
struct Weights<Bfloat16> {
  static constexpr int positions = 32;
  F scale, top, total = zero();
  QR_INLINE_MEMBER Weights(float scale, float top)
      : scale(set1(scale * 1.44269504f)), top(set1(-(top * (scale * 1.44269504f)))) {}
  /// e^x as 2^n 2^f within 2^-13 of itself: 16 times closer than it will be rounded.
  QR_INLINE_MEMBER F of(F score) const {
    const float round = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
    const F x = fma(score, scale, top);
    const F shifted = add(x, set1(round));
    const F f = sub(x, sub(shifted, set1(round)));
    F p = set1(0.05517166906f);
    p = fma(p, f, set1(0.2426111222f));
    p = fma(p, f, set1(0.6932609855f));
    p = fma(p, f, set1(0.9999280735f));
    const F power = as_float(add_int(shift_left_23(as_int(shifted)), 127 << 23));
    return zero_below(mul(p, power), x, -125.0f);
  }
  QR_INLINE_MEMBER F words(const F* scores) {
    const F pairs = pack_bf16(of(scores[0]), of(scores[1]));
    total = dot_bf16(pairs, as_float(set1_int(0x3f803f80)), total);
    return pairs;
  }
};

}  // namespace quire::QR_LEVEL
