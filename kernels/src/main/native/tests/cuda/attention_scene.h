// A step's attention: spans, their plan, and the table of a cache whose blocks are permuted.
#ifndef QUIRE_TESTS_CUDA_ATTENTION_SCENE_H
#define QUIRE_TESTS_CUDA_ATTENTION_SCENE_H

#include <math.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "../../cuda/attention.h"
#include "../numbers.h"

namespace cuda_cases {

struct AttentionShape {
  int heads = 32, kv_heads = 8, dim = 128, block_tokens = 16, window = 0;
  float softcap = 0;
  quire::cuda::KvKind kv = quire::cuda::KvKind::kBf16;
};

/// All of the op that lies with the host; who owns what of it lies on the device is the user's matter.
struct AttentionScene {
  AttentionShape shape;
  std::vector<quire::cuda::AttentionSpan> spans;
  int tokens = 0, blocks = 0, stride = 0;
  std::vector<int32_t> query_start = {0}, length, position, table;
  quire::cuda::AttentionPlan plan;
  quire::cuda::AttentionCounts counts = {};

  /// The spans' queries follow one another. A full first block is shared with the first sequence where `share` says so,
  /// as after a prefix hit.
  AttentionScene(const AttentionShape& shape, std::vector<quire::cuda::AttentionSpan> given, int split, int prefill_split, bool share,
                 conformance::Random& random)
      : shape(shape), spans(std::move(given)) {
    for (quire::cuda::AttentionSpan& span : spans) {
      span.query = tokens;
      tokens += span.queries;
      query_start.push_back(tokens);
      length.push_back(span.length);
      for (int i = 0; i < span.queries; i++) position.push_back(span.length - span.queries + i);
      blocks += blocks_of(span);
      stride = std::max(stride, blocks_of(span));
    }
    std::vector<int32_t> ids(static_cast<size_t>(blocks));
    std::iota(ids.begin(), ids.end(), 0);
    for (int i = blocks - 1; i > 0; i--) std::swap(ids[static_cast<size_t>(i)], ids[static_cast<size_t>(random.below(i + 1))]);
    table.assign(spans.size() * static_cast<size_t>(stride), -1);
    size_t next = 0;
    for (size_t b = 0; b < spans.size(); b++) {
      for (int i = 0; i < blocks_of(spans[b]); i++) table[b * static_cast<size_t>(stride) + static_cast<size_t>(i)] = ids[next++];
      const bool full = spans[b].length > shape.block_tokens && spans[0].length > shape.block_tokens;
      if (share && b > 0 && full) table[b * static_cast<size_t>(stride)] = table[0];
    }
    plan = quire::cuda::plan_attention(spans, shape.heads, shape.kv_heads, shape.dim, shape.window, split, prefill_split);
    counts = {static_cast<int32_t>(plan.decode.size()), static_cast<int32_t>(plan.prefill.size()), static_cast<int32_t>(plan.merges.size()), 0};
  }

  int blocks_of(const quire::cuda::AttentionSpan& span) const { return quire::cuda::ceil_div(span.length, shape.block_tokens); }
  int32_t slot(size_t sequence, int position) const {
    return table[sequence * static_cast<size_t>(stride) + static_cast<size_t>(position / shape.block_tokens)] * shape.block_tokens + position % shape.block_tokens;
  }
  /// Elements of K, as of V, and their bytes.
  int64_t cache_size() const { return int64_t{blocks} * shape.kv_heads * shape.block_tokens * shape.dim; }
  int64_t cache_bytes() const { return int64_t{blocks} * shape.kv_heads * shape.block_tokens * quire::cuda::token_bytes(shape.kv, shape.dim); }
  int64_t query_size() const { return int64_t{tokens} * shape.heads * shape.dim; }
  int64_t partial_size() const { return int64_t{plan.slots} * shape.heads * shape.dim; }

  double kv_bytes() const {
    double bytes = 0;
    for (const quire::cuda::AttentionSpan& s : spans) bytes += 2.0 * s.length * shape.kv_heads * quire::cuda::token_bytes(shape.kv, shape.dim);
    return bytes;
  }
  double flops() const {
    double pairs = 0;
    for (const quire::cuda::AttentionSpan& s : spans) pairs += static_cast<double>(s.queries) * (s.length - s.queries) + s.queries * (s.queries + 1.0) / 2;
    return 4.0 * shape.heads * shape.dim * pairs;
  }

  /// What does not lie on the device is here; `upload` gives the address of a vector's copy there.
  template <class Upload>
  quire::cuda::AttentionArgs args(Upload upload) const {
    quire::cuda::AttentionArgs a = {};
    a.block_table = upload(table);
    a.decode = upload(plan.decode);
    a.prefill = upload(plan.prefill);
    a.merges = upload(plan.merges);
    a.counts = upload(std::vector<quire::cuda::AttentionCounts>{counts});
    a.kv = shape.kv;
    a.heads = shape.heads;
    a.kv_heads = shape.kv_heads;
    a.head_dim = shape.dim;
    a.block_shift = shape.block_tokens == 16 ? 4 : 5;
    a.table_stride = stride;
    a.window = shape.window;
    a.scale = 1 / sqrtf(static_cast<float>(shape.dim));
    a.softcap = shape.softcap;
    return a;
  }
};

}  // namespace cuda_cases

#endif
