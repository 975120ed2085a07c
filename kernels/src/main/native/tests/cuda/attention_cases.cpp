// Paged attention, plain and on tensor cores, against float64: mixed steps, permuted and shared blocks, groups, head
// sizes, windows, caps, splits. Positions past a sequence's end hold NaN.
#include <algorithm>

#include "../../cuda/attention.h"
#include "harness.h"

namespace cuda_cases {
namespace {

using namespace quire::cuda;

struct Scene {
  const char* name;
  int heads, kv_heads, dim, block_tokens, window;
  float softcap;
  int split;
  std::vector<AttentionSpan> spans;  // query is filled in
};

struct Cache {
  int blocks = 0, stride = 0;
  std::vector<int32_t> table;
  std::vector<bf16> k, v;
};

Cache make_cache(const Scene& s, Random& random) {
  Cache cache;
  const int bt = s.block_tokens;
  for (const AttentionSpan& span : s.spans) {
    cache.blocks += ceil_div(span.length, bt);
    cache.stride = std::max(cache.stride, ceil_div(span.length, bt));
  }
  std::vector<int32_t> ids(static_cast<size_t>(cache.blocks));
  for (int i = 0; i < cache.blocks; i++) ids[static_cast<size_t>(i)] = i;
  for (int i = cache.blocks - 1; i > 0; i--) std::swap(ids[static_cast<size_t>(i)], ids[static_cast<size_t>(random.below(i + 1))]);
  cache.table.assign(s.spans.size() * static_cast<size_t>(cache.stride), -1);
  const size_t block = static_cast<size_t>(s.kv_heads * bt * s.dim);
  cache.k = normals(static_cast<size_t>(cache.blocks) * block, random);
  cache.v = normals(static_cast<size_t>(cache.blocks) * block, random);
  size_t next = 0;
  for (size_t b = 0; b < s.spans.size(); b++) {
    const int length = s.spans[b].length;
    int32_t* row = &cache.table[b * static_cast<size_t>(cache.stride)];
    for (int i = 0; i < ceil_div(length, bt); i++) row[i] = ids[next++];
    for (int h = 0; h < s.kv_heads && length % bt != 0; h++) {
      for (int p = length % bt; p < bt; p++) {
        const size_t at = (static_cast<size_t>(row[length / bt] * s.kv_heads + h) * static_cast<size_t>(bt) + static_cast<size_t>(p)) * static_cast<size_t>(s.dim);
        for (size_t d = 0; d < static_cast<size_t>(s.dim); d++) cache.k[at + d] = cache.v[at + d] = {0x7fff};
      }
    }
    // A full first block is shared with the first sequence, as after a prefix hit.
    if (b > 0 && length > bt && s.spans[0].length > bt) row[0] = cache.table[0];
  }
  return cache;
}

std::vector<double> reference(const Scene& s, const Cache& cache, const std::vector<bf16>& q, int tokens) {
  std::vector<double> out(static_cast<size_t>(tokens * s.heads * s.dim));
  const int bt = s.block_tokens;
  const double scale = 1 / sqrt(s.dim);
  for (size_t b = 0; b < s.spans.size(); b++) {
    const AttentionSpan& span = s.spans[b];
    for (int t = 0; t < span.queries; t++) {
      const int position = span.length - span.queries + t;
      const int first = s.window > 0 ? std::max(0, position - s.window + 1) : 0;
      for (int h = 0; h < s.heads; h++) {
        auto row = [&](int p) {
          const int block = cache.table[b * static_cast<size_t>(cache.stride) + static_cast<size_t>(p / bt)];
          return (static_cast<size_t>(block * s.kv_heads + h / (s.heads / s.kv_heads)) * static_cast<size_t>(bt) + static_cast<size_t>(p % bt)) * static_cast<size_t>(s.dim);
        };
        const size_t at = (static_cast<size_t>(span.query + t) * static_cast<size_t>(s.heads) + static_cast<size_t>(h)) * static_cast<size_t>(s.dim);
        std::vector<double> weights;
        double most = -HUGE_VAL, total = 0;
        for (int p = first; p <= position; p++) {
          double score = 0;
          for (size_t d = 0; d < static_cast<size_t>(s.dim); d++) score += static_cast<double>(value_of(q[at + d])) * value_of(cache.k[row(p) + d]);
          score *= scale;
          if (s.softcap > 0) score = s.softcap * tanh(score / s.softcap);
          weights.push_back(score);
          most = std::max(most, score);
        }
        for (double& w : weights) total += w = exp(w - most);
        for (int p = first; p <= position; p++) {
          for (size_t d = 0; d < static_cast<size_t>(s.dim); d++) out[at + d] += weights[static_cast<size_t>(p - first)] / total * value_of(cache.v[row(p) + d]);
        }
      }
    }
  }
  return out;
}

void run(Scene s, uint64_t seed) {
  Random random(seed);
  int tokens = 0;
  std::vector<int32_t> query_start = {0}, length;
  for (AttentionSpan& span : s.spans) {
    span.query = tokens;
    tokens += span.queries;
    query_start.push_back(tokens);
    length.push_back(span.length);
  }
  const Cache cache = make_cache(s, random);
  const std::vector<bf16> q = normals(static_cast<size_t>(tokens * s.heads * s.dim), random);
  const std::vector<double> wanted = reference(s, cache, q, tokens);
  const AttentionPlan plan = plan_attention(s.spans, s.heads, s.kv_heads, s.dim, s.window, s.split, 2 * s.split);
  const AttentionCounts counts = {static_cast<int32_t>(plan.decode.size()), static_cast<int32_t>(plan.prefill.size()),
                                  static_cast<int32_t>(plan.merges.size()), 0};
  Device<bf16> d_q(q), d_k(cache.k), d_v(cache.v), out(q.size()), plain_out(q.size());
  Device<int32_t> table(cache.table), d_start(query_start), d_length(length);
  Device<AttentionItem> decode(plan.decode), prefill(plan.prefill);
  Device<AttentionMerge> merges(plan.merges);
  Device<AttentionCounts> d_counts(std::vector<AttentionCounts>{counts});
  Device<float> partial_out(static_cast<size_t>(plan.slots * s.heads * s.dim));
  Device<float2> partial_stats(static_cast<size_t>(plan.slots * s.heads));
  AttentionArgs args = {d_q.data(), out.data(), d_k.data(), d_v.data(), table.data(), decode.data(), prefill.data(),
                        merges.data(), d_counts.data(), partial_out.data(), partial_stats.data(),
                        s.heads, s.kv_heads, s.dim, s.block_tokens == 16 ? 4 : 5, cache.stride, s.window,
                        1 / sqrtf(static_cast<float>(s.dim)), s.softcap};
  // Capacity beyond the counts, as in a graph of a larger bucket.
  require(attention(args, {counts.decode + 1, counts.prefill + 1, counts.merges + 1, 0}, nullptr), s.name);
  args.out = plain_out.data();
  require(attention_plain(args, d_start.data(), d_length.data(), static_cast<int>(s.spans.size()), tokens, nullptr), s.name);
  const std::vector<bf16> got = out.host(), plain = plain_out.host();
  const std::string name = std::string("attention ") + s.name;
  check(name + " plain", relative_error(plain, wanted), 3e-3);
  check(name, relative_error(got, wanted), 4e-3);
  digest(got);
  digest(plain);
}

}  // namespace

void attention_cases() {
  const Scene scenes[] = {
      {"decode of one", 4, 1, 128, 16, 0, 0, 64, {{0, 1, 1}}},
      {"decode lengths around a block", 4, 1, 64, 16, 0, 0, 64, {{0, 1, 15}, {0, 1, 16}, {0, 1, 17}}},
      {"decode lengths around a split", 4, 1, 128, 16, 0, 0, 64, {{0, 1, 63}, {0, 1, 64}, {0, 1, 65}, {0, 1, 150}}},
      {"decode of group 1", 2, 2, 64, 16, 0, 0, 64, {{0, 1, 70}}},
      {"decode of group 2", 4, 2, 64, 16, 0, 0, 64, {{0, 1, 33}}},
      {"decode of group 7", 14, 2, 64, 16, 0, 0, 64, {{0, 1, 100}, {0, 1, 3}}},
      {"decode of group 8", 8, 1, 128, 16, 0, 0, 128, {{0, 1, 200}}},
      {"decode of group 16", 16, 1, 64, 16, 0, 0, 64, {{0, 1, 80}}},
      {"decode of group 32", 32, 1, 64, 16, 0, 0, 64, {{0, 1, 40}}},
      {"decode with drafts", 4, 1, 128, 16, 0, 0, 64, {{0, 4, 66}, {0, 3, 3}}},
      {"decode with a window", 4, 1, 64, 16, 40, 0, 64, {{0, 1, 130}, {0, 4, 67}, {0, 1, 39}}},
      {"decode with a cap", 4, 1, 64, 16, 0, 5, 64, {{0, 1, 70}}},
      {"decode of D 80", 4, 1, 80, 16, 0, 0, 64, {{0, 1, 70}}},
      {"decode of D 96", 4, 1, 96, 16, 0, 0, 64, {{0, 1, 50}}},
      {"decode of D 256", 2, 1, 256, 16, 0, 0, 64, {{0, 1, 90}}},
      {"decode in blocks of 32", 4, 1, 64, 32, 0, 0, 64, {{0, 1, 95}, {0, 1, 32}}},
      {"more items than blocks", 4, 2, 64, 16, 0, 0, 64, {{0, 1, 80}, {0, 1, 1}, {0, 1, 130}, {0, 1, 20}, {0, 1, 64}}},
      {"prefill of one tile", 4, 1, 128, 16, 0, 0, 512, {{0, 20, 20}}},
      {"prefill of several tiles", 4, 1, 64, 16, 0, 0, 512, {{0, 70, 70}}},
      {"prefill chunk behind a prefix", 4, 1, 128, 16, 0, 0, 512, {{0, 33, 145}}},
      {"prefill of group 7", 7, 1, 64, 16, 0, 0, 512, {{0, 40, 65}}},
      {"prefill of group 1", 1, 1, 64, 16, 0, 0, 512, {{0, 130, 150}}},
      {"prefill with a window", 4, 1, 64, 16, 24, 0, 512, {{0, 50, 140}}},
      {"prefill with a window in splits", 4, 1, 64, 16, 200, 0, 64, {{0, 50, 300}}},
      {"prefill in odd splits", 4, 1, 64, 16, 0, 0, 48, {{0, 20, 260}}},
      {"rows that fill a bucket", 4, 1, 64, 16, 0, 0, 64, {{0, 1, 70}, {0, 0, 0}, {0, 1, 20}}},
      {"prefill with a cap", 4, 1, 64, 16, 0, 5, 512, {{0, 20, 40}}},
      {"prefill in splits", 4, 1, 64, 16, 0, 0, 64, {{0, 18, 260}}},
      {"prefill of D 80", 4, 1, 80, 16, 0, 0, 512, {{0, 20, 70}}},
      {"prefill of D 96", 4, 1, 96, 16, 0, 0, 512, {{0, 20, 70}}},
      {"prefill of D 256", 2, 1, 256, 16, 0, 0, 512, {{0, 40, 70}}},
      {"prefill in blocks of 32", 4, 1, 64, 32, 0, 0, 512, {{0, 20, 90}}},
      {"chunks and decodes mixed", 4, 2, 64, 16, 0, 0, 64, {{0, 1, 70}, {0, 30, 30}, {0, 1, 129}, {0, 17, 50}, {0, 4, 9}}},
  };
  uint64_t seed = 1;
  for (const Scene& scene : scenes) run(scene, seed++);
  const bool refused = !attention_supports(256, 1, 64) && !attention_supports(8, 3, 64) && !attention_supports(4, 4, 72);
  const bool planned = plan_attention({{0, 9, 9}}, 256, 1, 64, 0, 64, 64).prefill.empty() &&
                       plan_attention({{0, 1, 0}}, 4, 1, 64, 0, 64, 64).merges.empty();
  check("attention of heads that are not supported, and of nothing", refused && planned ? 0 : 1, 0);
}

}  // namespace cuda_cases
