// Paged attention, plain and on tensor cores, against float64: mixed steps, permuted and shared blocks, groups, head
// sizes, windows, caps, splits. Positions past a sequence's end hold NaN.
#include <algorithm>
#include <memory>

#include "attention_scene.h"
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

/// K or V: its bytes, and the values [block][kv head][token in block][D] that they stand for.
struct Cache {
  std::vector<uint8_t> bytes;
  std::vector<double> values;
};

/// A row of a head: of the block's elements at `elements`, and where there are such the scales at `scales`.
void fill_row(const AttentionShape& s, int row, uint8_t* elements, uint8_t* scales, double* values, Random& random) {
  const float scale = static_cast<float>((0.2 + random.uniform()) * (s.kv == KvKind::kInt8 ? 0.02 : 0.01));
  if (scaled(s.kv)) memcpy(scales + row * 4, &scale, 4);
  for (int d = 0; d < s.dim; d++) {
    uint8_t* to = elements + (row * s.dim + d) * kv_bytes(s.kv);
    if (!scaled(s.kv)) {
      const bf16 value = round_to_bf16(random.normal());
      memcpy(to, &value, 2);
      values[d] = value_of(value);
    } else if (s.kv == KvKind::kInt8) {
      const int code = random.below(255) - 127;
      *to = static_cast<uint8_t>(code);
      values[d] = static_cast<double>(scale) * code;
    } else {
      *to = static_cast<uint8_t>(random.below(127) | random.below(2) << 7);
      values[d] = scale * conformance::e4m3(*to);
    }
  }
}

Cache make_cache(const AttentionScene& scene, Random& random) {
  const AttentionShape& s = scene.shape;
  Cache cache = {std::vector<uint8_t>(static_cast<size_t>(scene.cache_bytes())), std::vector<double>(static_cast<size_t>(scene.cache_size()))};
  for (int head = 0; head < scene.blocks * s.kv_heads; head++) {
    uint8_t* elements = cache.bytes.data() + static_cast<size_t>(head * s.block_tokens * token_bytes(s.kv, s.dim));
    for (int row = 0; row < s.block_tokens; row++) {
      double* values = cache.values.data() + static_cast<size_t>((head * s.block_tokens + row) * s.dim);
      fill_row(s, row, elements, elements + s.block_tokens * s.dim, values, random);
    }
  }
  return cache;
}

/// Positions past a sequence's end become NaN.
void poison(const AttentionScene& scene, Cache& cache) {
  const AttentionShape& s = scene.shape;
  const int bt = s.block_tokens;
  for (size_t b = 0; b < scene.spans.size(); b++) {
    const int length = scene.spans[b].length;
    for (int h = 0; h < s.kv_heads && length % bt != 0; h++) {
      const int block = scene.table[b * static_cast<size_t>(scene.stride) + static_cast<size_t>(length / bt)];
      uint8_t* elements = cache.bytes.data() + static_cast<size_t>((block * s.kv_heads + h) * bt * token_bytes(s.kv, s.dim));
      const int from = length % bt, bytes = s.dim * kv_bytes(s.kv);
      memset(elements + from * bytes, scaled(s.kv) ? 0x7f : 0xff, static_cast<size_t>((bt - from) * bytes));
      if (scaled(s.kv)) memset(elements + bt * s.dim + from * 4, 0xff, static_cast<size_t>((bt - from) * 4));
    }
  }
}

std::vector<double> reference(const AttentionScene& scene, const Cache& k, const Cache& v, const std::vector<bf16>& q) {
  const AttentionShape& s = scene.shape;
  std::vector<double> out(static_cast<size_t>(scene.query_size()));
  const int bt = s.block_tokens;
  const double scale = 1 / sqrt(s.dim);
  for (size_t b = 0; b < scene.spans.size(); b++) {
    const AttentionSpan& span = scene.spans[b];
    for (int t = 0; t < span.queries; t++) {
      const int position = span.length - span.queries + t;
      const int first = s.window > 0 ? std::max(0, position - s.window + 1) : 0;
      for (int h = 0; h < s.heads; h++) {
        auto row = [&](int p) {
          const int block = scene.table[b * static_cast<size_t>(scene.stride) + static_cast<size_t>(p / bt)];
          return (static_cast<size_t>(block * s.kv_heads + h / (s.heads / s.kv_heads)) * static_cast<size_t>(bt) + static_cast<size_t>(p % bt)) * static_cast<size_t>(s.dim);
        };
        const size_t at = (static_cast<size_t>(span.query + t) * static_cast<size_t>(s.heads) + static_cast<size_t>(h)) * static_cast<size_t>(s.dim);
        std::vector<double> weights;
        double most = -HUGE_VAL, total = 0;
        for (int p = first; p <= position; p++) {
          double score = 0;
          for (size_t d = 0; d < static_cast<size_t>(s.dim); d++) score += static_cast<double>(value_of(q[at + d])) * k.values[row(p) + d];
          score *= scale;
          if (s.softcap > 0) score = s.softcap * tanh(score / s.softcap);
          weights.push_back(score);
          most = std::max(most, score);
        }
        for (double& w : weights) total += w = exp(w - most);
        for (int p = first; p <= position; p++) {
          for (size_t d = 0; d < static_cast<size_t>(s.dim); d++) out[at + d] += weights[static_cast<size_t>(p - first)] / total * v.values[row(p) + d];
        }
      }
    }
  }
  return out;
}

void run(const Scene& s, KvKind kv, uint64_t seed) {
  Random random(seed);
  const AttentionScene scene({s.heads, s.kv_heads, s.dim, s.block_tokens, s.window, s.softcap, kv}, s.spans, s.split, 2 * s.split, true, random);
  Cache k = make_cache(scene, random), v = make_cache(scene, random);
  poison(scene, k);
  poison(scene, v);
  const std::vector<bf16> q = normals(static_cast<size_t>(scene.query_size()), random);
  const std::vector<double> wanted = reference(scene, k, v, q);
  const AttentionCounts& counts = scene.counts;
  Device<bf16> d_q(q), out(q.size()), plain_out(q.size());
  Device<uint8_t> d_k(k.bytes), d_v(v.bytes);
  Device<int32_t> d_start(scene.query_start), d_length(scene.length);
  Device<float> partial_out(static_cast<size_t>(scene.partial_size()));
  Device<float2> partial_stats(static_cast<size_t>(scene.plan.slots * s.heads));
  std::vector<std::shared_ptr<void>> kept;
  AttentionArgs args = scene.args([&]<class T>(const std::vector<T>& values) -> const T* {
    auto made = std::make_shared<Device<T>>(values);
    kept.push_back(made);
    return made->data();
  });
  args.q = d_q.data();
  args.out = out.data();
  args.k_cache = d_k.data();
  args.v_cache = d_v.data();
  args.partial_out = partial_out.data();
  args.partial_stats = partial_stats.data();
  // Capacity beyond the counts, as in a graph of a larger bucket.
  require(attention(args, {counts.decode + 1, counts.prefill + 1, counts.merges + 1, 0}, nullptr), s.name);
  args.out = plain_out.data();
  require(attention_plain(args, d_start.data(), d_length.data(), static_cast<int>(s.spans.size()), scene.tokens, nullptr), s.name);
  const std::vector<bf16> got = out.host(), plain = plain_out.host();
  const std::string name = std::string("attention ") + s.name + (kv == KvKind::kInt8 ? ", int8" : kv == KvKind::kFp8 ? ", fp8" : "");
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
      {"decode of more ranges than there may be", 2, 1, 64, 16, 0, 0, 64, {{0, 1, 2200}, {0, 1, 2048}}},
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
  for (const KvKind kv : {KvKind::kBf16, KvKind::kInt8, KvKind::kFp8}) {
    for (const Scene& scene : scenes) run(scene, kv, seed++);
  }
  const bool refused = !attention_supports(256, 1, 64) && !attention_supports(8, 3, 64) && !attention_supports(4, 4, 72);
  const bool planned = plan_attention({{0, 9, 9}}, 256, 1, 64, 0, 64, 64).prefill.empty() &&
                       plan_attention({{0, 1, 0}}, 4, 1, 64, 0, 64, 64).merges.empty();
  check("attention of heads that are not supported, and of nothing", refused && planned ? 0 : 1, 0);
  // The workspace is bounded whatever the context: 128k and 1M positions, with drafts and without, in a window.
  bool bounded = true;
  for (const int length : {512, 16384, 16385, 131072, 1 << 20}) {
    for (const int queries : {1, 4}) {
      const AttentionPlan plan = plan_attention({{0, queries, length}}, 32, 8, 128, 0, 512, 1 << 20);
      bounded = bounded && plan.slots <= 32 * queries && plan.decode.size() <= 32;
    }
  }
  check("splits of long contexts", bounded ? 0 : 1, 0);
}

}  // namespace cuda_cases
