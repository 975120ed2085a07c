// What a mixture of experts is, in double.
#ifndef QUIRE_TESTS_EXPERT_REFERENCE_H
#define QUIRE_TESTS_EXPERT_REFERENCE_H

#include <math.h>

#include <algorithm>

#include "harness.h"

namespace conformance {

/// Gate and up [experts * inner, cols], down [experts * cols, inner]; silu.
struct Mixture {
  int rows, experts, chosen;
  bool normalised;
  const Matrix &gate, &up, &down;

  size_t cols() const { return static_cast<size_t>(gate.cols); }
  size_t inner() const { return static_cast<size_t>(down.cols); }
};

inline double product(const Matrix& w, size_t row, const double* x) {
  const size_t n = static_cast<size_t>(w.cols);
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += w.values[row * n + i] * x[i];
  return sum;
}

/// sum [rows, cols] plus what the experts make of x.
inline std::vector<double> mixture(const Mixture& m, std::vector<double> sum, const std::vector<double>& x,
                                   const std::vector<float>& logits) {
  for (size_t r = 0; r < static_cast<size_t>(m.rows); r++) {
    const float* own = &logits[r * static_cast<size_t>(m.experts)];
    std::vector<size_t> order;
    for (int e = 0; e < m.experts; e++) order.push_back(static_cast<size_t>(e));
    std::stable_sort(order.begin(), order.end(), [own](size_t a, size_t b) { return own[a] > own[b]; });
    double total = 0;
    for (int j = 0; j < (m.normalised ? m.chosen : m.experts); j++) total += exp(own[order[static_cast<size_t>(j)]]);
    for (int j = 0; j < m.chosen; j++) {
      const size_t e = order[static_cast<size_t>(j)];
      std::vector<double> inner;
      for (size_t i = e * m.inner(); i < (e + 1) * m.inner(); i++) {
        const double gate = product(m.gate, i, &x[r * m.cols()]);
        inner.push_back(gate / (1 + exp(-gate)) * product(m.up, i, &x[r * m.cols()]));
      }
      for (size_t c = 0; c < m.cols(); c++) {
        sum[r * m.cols() + c] += exp(own[e]) / total * product(m.down, e * m.cols() + c, inner.data());
      }
    }
  }
  return sum;
}

}  // namespace conformance

#endif
