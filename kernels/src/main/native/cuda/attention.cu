// The attention op: the host's cut of a step into items, and the order of the kernels.
#include <algorithm>

#include "attention.h"

namespace quire::cuda {

AttentionPlan plan_attention(const std::vector<AttentionSpan>& spans, int heads, int kv_heads, int head_dim, int window,
                             int split, int prefill_split) {
  AttentionPlan plan;
  if (!attention_supports(heads, kv_heads, head_dim)) return plan;
  const int group = heads / kv_heads;
  split = max(kSplitUnit, split / kSplitUnit * kSplitUnit);
  prefill_split = max(kSplitUnit, prefill_split / kSplitUnit * kSplitUnit);
  const int decode_queries = kDecodeRows / group, prefill_queries = prefill_rows(head_dim) / group;
  for (size_t s = 0; s < spans.size(); s++) {
    const AttentionSpan& span = spans[s];
    const bool decode = span.queries <= decode_queries;
    const int most = decode ? decode_queries : prefill_queries;
    for (int first = 0; first < span.queries; first += most) {
      const int queries = std::min(most, span.queries - first);
      const int position = span.length - span.queries + first, end = position + queries;
      if (end <= 0) continue;  // a row that only fills up a graph's bucket
      // Long contexts get longer ranges rather than more of them: partial results need a bounded workspace.
      const int fewest = ceil_div(ceil_div(end, kMostSplits), kSplitUnit) * kSplitUnit;
      const int range = max(decode ? split : prefill_split, fewest);
      // Splits lie at multiples of the range, wherever the window begins; tiles reach from multiples of the unit to the
      // next, so that a split's last tile has no positions beyond it.
      const int begin = window > 0 ? std::max(0, position - window + 1) / kSplitUnit * kSplitUnit : 0;
      const int from = begin / range, to = ceil_div(end, range), splits = to - from;
      for (int i = from; i < to; i++) {
        const AttentionItem item = {static_cast<int32_t>(s), span.query + first, queries, position,
                                    std::max(begin, i * range), std::min(end, (i + 1) * range),
                                    splits == 1 ? -1 : plan.slots + (i - from) * queries, 0};
        (decode ? plan.decode : plan.prefill).push_back(item);
      }
      if (splits == 1) continue;
      for (int i = 0; i < queries; i++) {
        plan.merges.push_back({span.query + first + i, plan.slots + i, splits, queries});
      }
      plan.slots += splits * queries;
    }
  }
  // The longest tiles first: the short ones fill the end of the grid.
  auto longer = [](const AttentionItem& a, const AttentionItem& b) {
    return a.kv_end - a.kv_begin > b.kv_end - b.kv_begin;
  };
  std::stable_sort(plan.prefill.begin(), plan.prefill.end(), longer);
  std::stable_sort(plan.decode.begin(), plan.decode.end(), longer);
  return plan;
}

bool attention_supports(int heads, int kv_heads, int head_dim) {
  const bool known = with_head_dim(head_dim, [](auto) { return cudaSuccess; }) == cudaSuccess;
  return known && heads > 0 && kv_heads > 0 && heads % kv_heads == 0 && heads / kv_heads <= prefill_rows(head_dim);
}

cudaError_t attention(const AttentionArgs& args, const AttentionCounts& capacity, cudaStream_t stream) {
  if (!attention_supports(args.heads, args.kv_heads, args.head_dim)) return cudaErrorInvalidValue;
  cudaError_t status = cudaSuccess;
  if (capacity.prefill > 0) status = attention_prefill(args, capacity.prefill, stream);
  if (status == cudaSuccess && capacity.decode > 0) status = attention_decode(args, capacity.decode, stream);
  if (status == cudaSuccess && capacity.merges > 0) status = attention_merge(args, capacity.merges, stream);
  return status;
}

}  // namespace quire::cuda
