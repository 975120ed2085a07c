// The part of cuBLASLt that the library uses, for tests on the CPU. What it is strict about: the layouts of a product W^T x,
// alignments, and in E4M3 the multiples of 16 and a scale for each row and column.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <vector>

#include "../../cpu/half.h"

#define LT_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum { kSuccess = 0, kInvalidValue = 7, kNotSupported = 15 };
enum { kFloat = 0, kBf16 = 14, kE4m3 = 28, kComputeFloat = 68 };
enum { kTransposeA = 3, kScaleA = 17, kScaleB = 18, kScaleModeA = 31, kScaleModeB = 32, kOuterVector = 3 };
constexpr uint64_t kAlgorithm = 0x51756972;

struct Description {
  int transpose_a = 0, mode_a = 0, mode_b = 0;
  const float *scale_a = nullptr, *scale_b = nullptr;
};
struct Layout {
  int type;
  uint64_t rows, cols;
  int64_t ld;
  bool operator==(const Layout&) const = default;
};
struct Heuristic {
  uint64_t algorithm[8];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

double e4m3(uint8_t code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const double size = (code & 0x7f) == 0x7f ? NAN : exponent == 0 ? ldexp(mantissa, -9) : ldexp(8 + mantissa, exponent - 10);
  return code < 128 ? size : -size;
}
double number(const Layout& layout, const void* data, int64_t at) {
  if (layout.type == kE4m3) return e4m3(static_cast<const uint8_t*>(data)[at]);
  return quire::bf16_to_float(static_cast<const uint16_t*>(data)[at]);
}

/// W [k, n] transposed, x [k, rows], out [n, rows], all column-major.
bool fits(const Description& d, const Layout& w, const Layout& x, const Layout& out) {
  const bool eight = w.type == kE4m3;
  const uint64_t multiple = eight ? 16 : 1;
  const bool types = (eight || w.type == kBf16) && x.type == w.type && (out.type == kBf16 || out.type == kFloat);
  const bool sizes = w.rows == x.rows && w.cols == out.rows && x.cols == out.cols && w.rows % multiple == 0 && w.cols % multiple == 0;
  const bool strides = w.ld == static_cast<int64_t>(w.rows) && x.ld == w.ld && out.ld >= static_cast<int64_t>(out.rows);
  return types && sizes && strides && d.transpose_a == 1 && (d.mode_a == kOuterVector) == eight && (d.mode_b == kOuterVector) == eight &&
         (d.scale_a != nullptr) == eight && (d.scale_b != nullptr) == eight;
}
bool aligned(const void* at) { return reinterpret_cast<uint64_t>(at) % 16 == 0; }

}  // namespace

LT_EXPORT int cublasLtCreate(void** handle) {
  static int one;
  *handle = &one;
  return kSuccess;
}
LT_EXPORT int cublasLtMatmulDescCreate(void** out, int compute, int scale) {
  if (compute != kComputeFloat || scale != kFloat) return kInvalidValue;
  *out = new Description;
  return kSuccess;
}
LT_EXPORT int cublasLtMatmulDescSetAttribute(void* desc, int attribute, const void* value, size_t bytes) {
  Description& d = *static_cast<Description*>(desc);
  const auto take = [&](auto& field) {
    if (bytes != sizeof field) return kInvalidValue;
    memcpy(&field, value, bytes);
    return kSuccess;
  };
  switch (attribute) {
    case kTransposeA: return take(d.transpose_a);
    case kScaleModeA: return take(d.mode_a);
    case kScaleModeB: return take(d.mode_b);
    case kScaleA: return take(d.scale_a);
    case kScaleB: return take(d.scale_b);
    default: return kInvalidValue;
  }
}
LT_EXPORT int cublasLtMatrixLayoutCreate(void** out, int type, uint64_t rows, uint64_t cols, int64_t ld) {
  *out = new Layout{type, rows, cols, ld};
  return kSuccess;
}
LT_EXPORT int cublasLtMatmulPreferenceCreate(void** out) {
  *out = new int;
  return kSuccess;
}
LT_EXPORT int cublasLtMatmulPreferenceSetAttribute(void*, int attribute, const void*, size_t bytes) {
  return attribute == 1 && bytes == sizeof(size_t) ? kSuccess : kInvalidValue;
}
LT_EXPORT int cublasLtMatmulPreferenceDestroy(void* preference) {
  delete static_cast<int*>(preference);
  return kSuccess;
}
LT_EXPORT int cublasLtMatmulAlgoGetHeuristic(void*, void* desc, void* w, void* x, void* c, void* out, void*, int, Heuristic* results, int* found) {
  *found = 0;
  const Layout& result = *static_cast<Layout*>(out);
  if (!(*static_cast<Layout*>(c) == result)) return kInvalidValue;
  if (!fits(*static_cast<Description*>(desc), *static_cast<Layout*>(w), *static_cast<Layout*>(x), result)) return kNotSupported;
  *results = {};
  results->algorithm[0] = kAlgorithm;
  *found = 1;
  return kSuccess;
}
LT_EXPORT int cublasLtMatmul(void*, void* desc, const void* alpha, const void* w, void* w_layout, const void* x, void* x_layout, const void* beta,
                             const void* c, void* c_layout, void* out, void* out_layout, const void* algorithm, void*, size_t, void*) {
  const Description& d = *static_cast<Description*>(desc);
  const Layout &wl = *static_cast<Layout*>(w_layout), &xl = *static_cast<Layout*>(x_layout), &ol = *static_cast<Layout*>(out_layout);
  const bool eight = wl.type == kE4m3;
  if (!fits(d, wl, xl, ol) || c != out || !(*static_cast<Layout*>(c_layout) == ol) || !aligned(w) || !aligned(x) || !aligned(out) ||
      *static_cast<const uint64_t*>(algorithm) != kAlgorithm) {
    return kInvalidValue;
  }
  const float a = *static_cast<const float*>(alpha), b = *static_cast<const float*>(beta);
  for (uint64_t r = 0; r < ol.cols; r++) {
    std::vector<double> row;
    for (uint64_t k = 0; k < xl.rows; k++) row.push_back(number(xl, x, static_cast<int64_t>(r * xl.rows + k)));
    for (uint64_t n = 0; n < ol.rows; n++) {
      double sum = 0;
      for (uint64_t k = 0; k < wl.rows; k++) sum += row[k] * number(wl, w, static_cast<int64_t>(n * wl.rows + k));
      if (eight) sum *= static_cast<double>(d.scale_a[n]) * d.scale_b[r];
      const int64_t at = static_cast<int64_t>(r) * ol.ld + static_cast<int64_t>(n);
      if (ol.type == kFloat) {
        float& to = static_cast<float*>(out)[at];
        to = static_cast<float>(a * sum + (b == 0 ? 0 : b * to));
      } else {
        uint16_t& to = static_cast<uint16_t*>(out)[at];
        to = quire::float_to_bf16(static_cast<float>(a * sum + (b == 0 ? 0 : b * quire::bf16_to_float(to))));
      }
    }
  }
  return kSuccess;
}
