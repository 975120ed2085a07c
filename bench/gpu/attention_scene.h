// A step's attention on the device: spans, their plan, a cache with permuted blocks.
#ifndef QUIRE_BENCH_ATTENTION_SCENE_H
#define QUIRE_BENCH_ATTENTION_SCENE_H

#include <math.h>

#include <numeric>
#include <random>

#include "attention.h"
#include "timing.h"

namespace quire::bench {

struct Heads {
  int heads = 32, kv_heads = 8, dim = 128;
};

/// Spans of a step with everything that the op needs but q, out and the caches.
struct AttentionScene {
  cuda::AttentionArgs args = {};
  cuda::AttentionCounts counts = {};
  int tokens = 0, blocks = 0;
  double kv_bytes = 0, flops = 0;
  const int32_t *query_start = nullptr, *length = nullptr;
  std::vector<int32_t> table, position;

  AttentionScene(const Heads& h, std::vector<cuda::AttentionSpan> spans, int split, int prefill_split) {
    std::vector<int32_t> starts = {0}, lengths;
    int stride = 0;
    for (cuda::AttentionSpan& span : spans) {
      span.query = tokens;
      tokens += span.queries;
      starts.push_back(tokens);
      lengths.push_back(span.length);
      blocks += cuda::ceil_div(span.length, 16);
      stride = std::max(stride, cuda::ceil_div(span.length, 16));
      kv_bytes += 4.0 * span.length * h.kv_heads * h.dim;
      flops += 4.0 * h.heads * h.dim * (static_cast<double>(span.queries) * (span.length - span.queries) + span.queries * (span.queries + 1.0) / 2);
      for (int i = 0; i < span.queries; i++) position.push_back(span.length - span.queries + i);
    }
    std::vector<int32_t> ids(static_cast<size_t>(blocks));
    std::iota(ids.begin(), ids.end(), 0);
    std::shuffle(ids.begin(), ids.end(), std::mt19937(1));
    table.assign(spans.size() * static_cast<size_t>(stride), -1);
    size_t next = 0;
    for (size_t s = 0; s < spans.size(); s++) {
      for (int b = 0; b < cuda::ceil_div(spans[s].length, 16); b++) table[s * static_cast<size_t>(stride) + static_cast<size_t>(b)] = ids[next++];
    }
    const cuda::AttentionPlan plan = cuda::plan_attention(spans, h.heads, h.kv_heads, h.dim, 0, split, prefill_split);
    counts = {static_cast<int32_t>(plan.decode.size()), static_cast<int32_t>(plan.prefill.size()), static_cast<int32_t>(plan.merges.size()), 0};
    args.block_table = upload(table);
    args.decode = upload(plan.decode);
    args.prefill = upload(plan.prefill);
    args.merges = upload(plan.merges);
    args.counts = upload(std::vector<cuda::AttentionCounts>{counts});
    args.partial_out = reserve<float>(static_cast<int64_t>(plan.slots) * h.heads * h.dim + 1);
    args.partial_stats = reserve<float2>(static_cast<int64_t>(plan.slots) * h.heads + 1);
    args.heads = h.heads;
    args.kv_heads = h.kv_heads;
    args.head_dim = h.dim;
    args.block_shift = 4;
    args.table_stride = stride;
    args.scale = 1 / sqrtf(static_cast<float>(h.dim));
    query_start = upload(starts);
    length = upload(lengths);
  }
};

}  // namespace quire::bench

#endif
