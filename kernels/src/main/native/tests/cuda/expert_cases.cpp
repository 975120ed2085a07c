// Mixtures of experts against float64: every format, tiles of 8, 16, 64 and 128 rows, experts without rows and with all of them.
#include "../../cuda/experts.h"

#include <math.h>

#include <algorithm>

#include "harness.h"

namespace cuda_cases {
namespace {

using conformance::float_to_half;
using namespace quire::cuda;

enum class Logits { kRandom, kEqual, kOneExpert, kNotNumbers };

struct Mixture {
  int rows, experts, chosen, cols, inner;
  bool normalised;
  Logits logits;
};

/// The matrices [experts * rows, k] of all experts on the device, and their values.
struct Weights {
  std::vector<double> values;
  Device<uint8_t> device;
  ExpertWeights args;

  Weights(WeightFormat format, int experts, int rows, int k, Random& random)
      : device(packed(format, experts * rows, k, random), Writer::kNobody) {
    args = {device.data(), format, static_cast<int64_t>(device.size()) / experts};
  }

 private:
  std::vector<uint8_t> packed(WeightFormat format, int n, int k, Random& random) {
    const size_t count = static_cast<size_t>(n) * static_cast<size_t>(k);
    if (format == WeightFormat::kBf16) {
      const std::vector<bf16> w = normals(count, random, 0.1f);
      values = values_of(w);
      const uint8_t* bytes = reinterpret_cast<const uint8_t*>(w.data());
      return std::vector<uint8_t>(bytes, bytes + count * sizeof(bf16));
    }
    std::vector<uint8_t> codes(count);
    std::vector<int8_t> signed_codes(count);
    std::vector<uint16_t> scale(count / kGroup), minimum(count / kGroup);
    for (size_t g = 0; g < scale.size(); g++) {
      const float step = format == WeightFormat::kInt4 ? 0.02f : format == WeightFormat::kInt8 ? 0.001f : 0.1f * kFloat8Unit;
      scale[g] = float_to_half(step * (0.5f + static_cast<float>(random.uniform())));
      minimum[g] = float_to_half(-0.15f);
    }
    for (size_t i = 0; i < count; i++) {
      const double factor = conformance::half_to_float(scale[i / kGroup]);
      codes[i] = static_cast<uint8_t>(random.below(16));
      signed_codes[i] = static_cast<int8_t>(random.below(256) - 128);
      if (format == WeightFormat::kInt4) values.push_back(codes[i] * factor + conformance::half_to_float(minimum[i / kGroup]));
      if (format == WeightFormat::kInt8) values.push_back(signed_codes[i] * factor);
      if (format != WeightFormat::kFloat8) continue;
      codes[i] = static_cast<uint8_t>(random.below(64) | random.below(2) << 7);  // up to 1.875
      const double number = (codes[i] & 0x78) == 0 ? ldexp(codes[i] & 7, -9) : ldexp(8 + (codes[i] & 7), (codes[i] >> 3 & 15) - 10);
      values.push_back((codes[i] < 128 ? number : -number) * factor / kFloat8Unit);
    }
    return format == WeightFormat::kInt4   ? pack_int4(codes, scale, minimum, n, k)
           : format == WeightFormat::kInt8 ? pack_int8(signed_codes, scale, n, k)
                                           : pack_float8(codes, scale, n, k);
  }
};

std::vector<float> logits_of(const Mixture& m, Random& random) {
  std::vector<float> logits = random.normals(static_cast<size_t>(m.rows * m.experts));
  for (int r = 0; r < m.rows; r++) {
    for (int e = 0; e < m.experts; e++) {
      float& logit = logits[static_cast<size_t>(r * m.experts + e)];
      if (m.logits == Logits::kEqual) logit = 0.25f;
      if (m.logits == Logits::kOneExpert && e == m.experts - 1) logit = 9;
      if (m.logits == Logits::kNotNumbers && r == 1) logit = e == 0 ? INFINITY : NAN;
    }
  }
  return logits;
}

double dot(const std::vector<double>& w, size_t row, const std::vector<double>& x, size_t x_row, int k) {
  const size_t n = static_cast<size_t>(k);
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += w[row * n + i] * x[x_row * n + i];
  return sum;
}

/// What is added to the sum of a row.
std::vector<double> mixed(const Mixture& m, const std::vector<float>& logits, const std::vector<double>& x, const Weights& gate,
                          const Weights& up, const Weights& down, int row) {
  const float* own = &logits[static_cast<size_t>(row * m.experts)];
  std::vector<int> order;
  for (int e = 0; e < m.experts; e++) order.push_back(e);
  std::stable_sort(order.begin(), order.end(), [own](int a, int b) { return own[a] > own[b]; });
  double total = 0;
  for (int j = 0; j < (m.normalised ? m.chosen : m.experts); j++) total += exp(own[order[static_cast<size_t>(j)]]);
  std::vector<double> sum(static_cast<size_t>(m.cols));
  for (int j = 0; j < m.chosen; j++) {
    const size_t e = static_cast<size_t>(order[static_cast<size_t>(j)]);
    std::vector<double> inner;
    for (size_t i = 0; i < static_cast<size_t>(m.inner); i++) {
      const size_t at = e * static_cast<size_t>(m.inner) + i;
      const double g = dot(gate.values, at, x, static_cast<size_t>(row), m.cols);
      inner.push_back(g / (1 + exp(-g)) * dot(up.values, at, x, static_cast<size_t>(row), m.cols));
    }
    for (size_t c = 0; c < sum.size(); c++) sum[c] += exp(own[e]) / total * dot(down.values, e * sum.size() + c, inner, 0, m.inner);
  }
  return sum;
}

void mixture_case(WeightFormat format, const Mixture& m, uint64_t seed) {
  Random random(seed);
  const size_t count = static_cast<size_t>(m.rows * m.cols), width = static_cast<size_t>(m.cols);
  const std::vector<bf16> x = normals(count, random), before = normals(count, random);
  const std::vector<float> logits = logits_of(m, random);
  Weights gate(format, m.experts, m.inner, m.cols, random), up(format, m.experts, m.inner, m.cols, random),
      down(format, m.experts, m.cols, m.inner, random);
  Device<bf16> d_x(x), sum(before);
  Device<float> d_logits(logits);
  ExpertsArgs args = {};
  args.sum = sum.data();
  args.x = d_x.data();
  args.logits = d_logits.data();
  args.gate = gate.args;
  args.up = up.args;
  args.down = down.args;
  args.rows = m.rows;
  args.cols = m.cols;
  args.inner = m.inner;
  args.experts = m.experts;
  args.chosen = m.chosen;
  args.normalised = m.normalised;
  args.add = static_cast<int32_t>(seed % 2);
  Device<uint8_t> workspace(static_cast<size_t>(experts_workspace(args)));
  require(experts(args, workspace.data(), nullptr), "experts");
  std::vector<bf16> got = sum.host();
  std::vector<double> wanted = args.add != 0 ? values_of(before) : std::vector<double>(count);
  const std::vector<double> wide = values_of(x);
  for (int r = 0; r < m.rows; r++) {
    const size_t at = static_cast<size_t>(r) * width;
    if (m.logits == Logits::kNotNumbers && r == 1) {  // which must reach no other row
      bool bad = true;
      for (size_t c = at; c < at + width; c++) bad = bad && std::isnan(value_of(got[c]));
      check("experts of logits that are no numbers", bad ? 0 : 1, 0);
      for (size_t c = at; c < at + width; c++) got[c] = args.add != 0 ? before[c] : round_to_bf16(0);
      continue;
    }
    const std::vector<double> added = mixed(m, logits, wide, gate, up, down, r);
    for (size_t c = 0; c < width; c++) wanted[at + c] += added[c];
  }
  check("experts " + std::to_string(static_cast<int>(format)) + ": " + std::to_string(m.rows) + " rows, " + std::to_string(m.chosen) +
            " of " + std::to_string(m.experts) + ", " + std::to_string(m.cols) + " x " + std::to_string(m.inner),
        relative_error(got, wanted), 6e-3);
  digest(got);
}

}  // namespace

void expert_cases() {
  uint64_t seed = 900;
  for (WeightFormat format : {WeightFormat::kBf16, WeightFormat::kInt4, WeightFormat::kInt8, WeightFormat::kFloat8}) {
    for (const Mixture& m : {Mixture{3, 5, 2, 64, 128, true, Logits::kRandom}, {21, 3, 2, 128, 64, false, Logits::kRandom},
                             {60, 3, 2, 64, 128, true, Logits::kRandom}, {130, 2, 2, 128, 64, true, Logits::kRandom}}) {
      mixture_case(format, m, seed++);
    }
  }
  for (const Mixture& m : {Mixture{1, 1, 1, 64, 64, false, Logits::kRandom}, {2, 4, 4, 64, 64, true, Logits::kEqual},
                           {9, 40, 3, 64, 64, true, Logits::kEqual}, {35, 7, 1, 64, 64, false, Logits::kOneExpert},
                           {33, 33, 2, 64, 64, true, Logits::kOneExpert}, {4, 6, 2, 64, 64, true, Logits::kNotNumbers},
                           {63, 2, 1, 64, 64, false, Logits::kOneExpert}, {65, 2, 1, 64, 64, false, Logits::kOneExpert},
                           {257, 3, 1, 64, 64, false, Logits::kOneExpert}, {128, 1, 1, 64, 192, false, Logits::kRandom}}) {
    mixture_case(WeightFormat::kBf16, m, seed++);
  }
}

}  // namespace cuda_cases
