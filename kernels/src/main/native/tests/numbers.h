// Numbers of the cases, of the CPU's kernels and of CUDA's: a reproducible stream, IEEE half by its definition, and how
// far results are from what was wanted.
#ifndef QUIRE_TESTS_NUMBERS_H
#define QUIRE_TESTS_NUMBERS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include <utility>
#include <vector>

namespace conformance {

/// A reproducible stream of numbers (SplitMix64).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
  }
  int below(int n) { return static_cast<int>(next() % static_cast<uint64_t>(n)); }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  float normal() {
    const double radius = sqrt(-2 * log(1 - uniform()));
    return static_cast<float>(radius * cos(6.283185307179586 * uniform()));
  }
  std::vector<float> normals(size_t n) {
    std::vector<float> values(n);
    for (float& value : values) value = normal();
    return values;
  }

 private:
  uint64_t state_;
};

inline float half_to_float(uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  const double magnitude = exponent == 0    ? ldexp(mantissa, -24)
                           : exponent == 31 ? (mantissa != 0 ? NAN : HUGE_VAL)
                                            : ldexp(1024 + mantissa, exponent - 25);
  return static_cast<float>((half & 0x8000) != 0 ? -magnitude : magnitude);
}

inline uint16_t float_to_half(double value) {
  const uint16_t sign = signbit(value) ? 0x8000 : 0;
  if (isnan(value)) return sign | 0x7e00;
  double magnitude = fabs(value);
  if (magnitude >= 65504) return sign | 0x7bff;
  if (magnitude < ldexp(1, -14)) {
    return static_cast<uint16_t>(sign + static_cast<int>(nearbyint(ldexp(magnitude, 24))));
  }
  int exponent;
  const double fraction = frexp(magnitude, &exponent);  // [0.5, 1)
  const int mantissa = static_cast<int>(nearbyint(ldexp(fraction, 11)));
  return static_cast<uint16_t>(sign + ((exponent + 13) << 10) + mantissa);
}

/// A code of E4M3 by its definition: exponents from -6 on, subnormal below, one NaN and no infinity.
inline double e4m3(uint8_t code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  if ((code & 127) == 127) return NAN;
  const double magnitude = exponent == 0 ? ldexp(mantissa, -9) : ldexp(8 + mantissa, exponent - 10);
  return (code & 128) != 0 ? -magnitude : magnitude;
}

/// Numbers and what they are in E4M3: each code, and the middle between it and the next one, which goes to the even one.
inline std::vector<std::pair<float, uint8_t>> e4m3_ties() {
  std::vector<std::pair<float, uint8_t>> ties;
  for (int code = 0; code < 127; code++) {
    const double value = e4m3(static_cast<uint8_t>(code));
    ties.push_back({static_cast<float>(value), static_cast<uint8_t>(code)});
    if (code == 126) break;
    const float middle = static_cast<float>((value + e4m3(static_cast<uint8_t>(code + 1))) / 2);
    ties.push_back({-middle, static_cast<uint8_t>((code + code % 2) | 128)});
  }
  return ties;
}

/// |got - wanted| / |wanted| over all elements that are wanted; infinite if anything is NaN.
template <class Got, class Wanted>
double distance(const std::vector<Got>& got, const std::vector<Wanted>& wanted) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < wanted.size(); i++) {
    const double w = wanted[i], d = got[i] - w;
    error += d * d;
    norm += w * w;
  }
  const double result = sqrt(error / (norm > 0 ? norm : 1));
  return isnan(result) ? HUGE_VAL : result;
}

}  // namespace conformance

#endif
