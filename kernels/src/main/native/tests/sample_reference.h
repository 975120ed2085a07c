// A sample by its definition: a real sort, sums in double.
#ifndef QUIRE_TESTS_SAMPLE_REFERENCE_H
#define QUIRE_TESTS_SAMPLE_REFERENCE_H

#include <math.h>
#include <stddef.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "../cpu/philox.h"
#include "../include/quire.h"

namespace conformance {

/// The tokens by falling logit, ties by rising id.
inline std::vector<int> best_first(const std::vector<float>& logits) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)]; });
  return order;
}

/// The weights that min_p, top_k and top_p leave of adjusted logits, the largest 1; 0 for the other tokens.
inline std::vector<double> kept_weights(const std::vector<float>& logits, const QrSampleRow& row, double top_p, double min_p) {
  const std::vector<int> order = best_first(logits);
  auto weight = [&](size_t i) {
    return exp((static_cast<double>(logits[static_cast<size_t>(order[i])]) - logits[static_cast<size_t>(order[0])]) / row.temperature);
  };
  size_t n = row.top_k > 0 ? std::min(order.size(), static_cast<size_t>(row.top_k)) : order.size();
  while (n > 1 && weight(n - 1) < min_p) n--;
  double sum = 0, reached = 0;
  for (size_t i = 0; i < n; i++) sum += weight(i);
  std::vector<double> kept(logits.size(), 0);
  for (size_t i = 0; i < n && (i == 0 || row.top_p >= 1 || reached < top_p * sum); i++) {
    reached += kept[static_cast<size_t>(order[i])] = weight(i);
  }
  return kept;
}

/// By how much the uniform number would have to be another for a drawn token to be right, with top_p and min_p off by
/// `slack` at most; 1 for a token that is not left.
inline double wrong_by(const std::vector<float>& logits, const QrSampleRow& row, int token, double slack = 1e-6) {
  if (token < 0 || static_cast<size_t>(token) >= logits.size()) return 1;
  const double uniform = quire::philox_uniform(row.seed, row.position, row.stream);
  double best = 1;
  for (double off : {0.0, -slack, slack}) {
    const std::vector<double> weight = kept_weights(logits, row, row.top_p + off, row.min_p * (1 + off));
    if (weight[static_cast<size_t>(token)] == 0) continue;
    const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
    const double before = std::accumulate(weight.begin(), weight.begin() + token, 0.0) / total;
    best = std::min(best, std::max({0.0, before - uniform, uniform - before - weight[static_cast<size_t>(token)] / total}));
    if (best == 0) break;
  }
  return best;
}

}  // namespace conformance

#endif
