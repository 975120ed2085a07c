// QR_OP_ATTENTION over ragged batches against double precision, and the same bits alone, in company and on every level.
#include <math.h>
#include <string.h>

#include <algorithm>

#include "harness.h"

namespace conformance {
namespace {

struct Shape {
  int heads, kv_heads, dim, kv_type, block_tokens, window;
  float softcap;
};

/// A sequence with `context` positions in the cache, of which the last `queries` are computed now.
struct Span {
  int context, queries;
};

struct Scene {
  Shape shape;
  std::vector<Span> spans;
  std::vector<std::vector<int>> blocks;  // per sequence
  std::vector<float> q;
  std::vector<double> k, v;          // values held, in the layout of the cache
  std::vector<uint8_t> k_bytes, v_bytes;
  int n_blocks = 0;
};

void fill_cache(Scene& s, Random& random) {
  const size_t elements = static_cast<size_t>(s.n_blocks * s.shape.kv_heads * s.shape.dim * s.shape.block_tokens);
  const size_t size = s.shape.kv_type == QR_BF16 ? 2 : 4;
  for (int which = 0; which < 2; which++) {
    std::vector<double>& values = which == 0 ? s.k : s.v;
    std::vector<uint8_t>& bytes = which == 0 ? s.k_bytes : s.v_bytes;
    values.resize(elements);
    bytes.resize(elements * size);
    for (size_t i = 0; i < elements; i++) {
      const float value = random.normal();
      if (size == 4) {
        values[i] = value;
        memcpy(&bytes[i * 4], &value, 4);
      } else {
        const double rounded = to_bf16(value);
        values[i] = rounded;
        put_bf16(&bytes[i * 2], rounded);
      }
    }
  }
}

/// Elements of the cache within one head of a block, for position p of the block and element d of the head.
size_t key_at(const Shape& c, int p, int d) {
  return static_cast<size_t>(c.kv_type == QR_F32 ? d * c.block_tokens + p : (d / 2 * c.block_tokens + p) * 2 + d % 2);
}
size_t value_at(const Shape& c, int p, int d) {
  return static_cast<size_t>(c.kv_type == QR_F32 ? p * c.dim + d : (p / 2 * c.dim + d) * 2 + p % 2);
}

/// Positions after a sequence's end hold NaN in blocks of its own: they must never be read into a result.
void poison(Scene& s) {
  const int bt = s.shape.block_tokens, dim = s.shape.dim;
  for (size_t b = 0; b < s.spans.size(); b++) {
    const int block = s.blocks[b].back();
    for (int p = (s.spans[b].context - 1) % bt + 1; p < bt; p++) {
      for (int h = 0; h < s.shape.kv_heads; h++) {
        for (int d = 0; d < dim; d++) {
          const size_t base = static_cast<size_t>((block * s.shape.kv_heads + h) * dim * bt);
          const size_t at[2] = {base + key_at(s.shape, p, d), base + value_at(s.shape, p, d)};
          for (int which = 0; which < 2; which++) {
            uint8_t* bytes = (which == 0 ? s.k_bytes : s.v_bytes).data();
            const uint32_t nan = 0x7fc00000;
            if (s.shape.kv_type == QR_F32) {
              memcpy(bytes + at[which] * 4, &nan, 4);
            } else {
              memcpy(bytes + at[which] * 2, reinterpret_cast<const uint8_t*>(&nan) + 2, 2);
            }
          }
        }
      }
    }
  }
}

Scene make_scene(const Shape& shape, const std::vector<Span>& spans, uint64_t seed) {
  Random random(seed);
  Scene s = {shape, spans, {}, {}, {}, {}, {}, {}, 0};
  std::vector<int> ids;
  for (const Span& span : spans) s.n_blocks += (span.context + shape.block_tokens - 1) / shape.block_tokens;
  for (int i = 0; i < s.n_blocks; i++) ids.push_back(i);
  for (int i = s.n_blocks - 1; i > 0; i--) std::swap(ids[static_cast<size_t>(i)], ids[static_cast<size_t>(random.below(i + 1))]);
  size_t tokens = 0, next = 0;
  for (const Span& span : spans) {
    std::vector<int> table;
    for (int i = 0; i < (span.context + shape.block_tokens - 1) / shape.block_tokens; i++) table.push_back(ids[next++]);
    // Full blocks at the start are shared with the first sequence, as after a prefix hit.
    const int shareable = s.blocks.empty() ? 0 : std::min(2, std::min((span.context - 1) / shape.block_tokens, (spans[0].context - 1) / shape.block_tokens));
    for (int i = 0; i < shareable; i++) table[static_cast<size_t>(i)] = s.blocks[0][static_cast<size_t>(i)];
    s.blocks.push_back(table);
    tokens += static_cast<size_t>(span.queries);
  }
  s.q = random.normals(tokens * static_cast<size_t>(shape.heads * shape.dim));
  fill_cache(s, random);
  poison(s);
  return s;
}

/// Runs sequences [first, first + n) of a scene.
std::vector<float> attend(const Scene& s, Rig& rig, size_t first, size_t n) {
  StepData step;
  size_t skipped = 0;
  for (size_t b = 0; b < first; b++) skipped += static_cast<size_t>(s.spans[b].queries);
  for (size_t b = first; b < first + n; b++) {
    for (int i = 0; i < s.spans[b].queries; i++) {
      step.token.push_back(0);
      step.slot.push_back(-1);
      step.position.push_back(s.spans[b].context - s.spans[b].queries + i);
    }
    step.query_start.push_back(static_cast<int32_t>(step.token.size()));
    step.table_stride = std::max(step.table_stride, static_cast<int>(s.blocks[b].size()));
  }
  for (size_t b = first; b < first + n; b++) {
    std::vector<int32_t> row(s.blocks[b].begin(), s.blocks[b].end());
    row.resize(static_cast<size_t>(step.table_stride), -1);
    step.blocks.insert(step.blocks.end(), row.begin(), row.end());
  }
  const size_t width = static_cast<size_t>(s.shape.heads * s.shape.dim), count = step.token.size() * width;
  Floats q(std::vector<float>(s.q.begin() + static_cast<ptrdiff_t>(skipped * width), s.q.begin() + static_cast<ptrdiff_t>(skipped * width + count)));
  Floats out(count);
  const QrAttention op = {q.address(), out.address(), reinterpret_cast<uint64_t>(s.k_bytes.data()), reinterpret_cast<uint64_t>(s.v_bytes.data()),
                          s.shape.heads, s.shape.kv_heads, s.shape.dim, s.shape.kv_type, s.shape.block_tokens, s.shape.window, 0.2f, s.shape.softcap};
  check(rig.run(QR_OP_ATTENTION, 0, &op, step.view()) == QR_OK, "attention runs");
  check(out.guarded(), "attention writes only its rows (%s)", rig.label.c_str());
  return std::vector<float>(out.data(), out.data() + count);
}

/// One query head over one sequence, in double precision.
std::vector<double> reference(const Scene& s, size_t b, int position, int head, const float* q) {
  const Shape& c = s.shape;
  const int kv_head = head / (c.heads / c.kv_heads);
  const int first = c.window > 0 ? std::max(0, position - c.window + 1) : 0;
  std::vector<double> scores, out(static_cast<size_t>(c.dim));
  double largest = -HUGE_VAL, total = 0;
  auto rounded = [&](double x) { return c.kv_type == QR_F32 ? x : to_bf16(x); };
  auto base = [&](int p) {
    return static_cast<size_t>((s.blocks[b][static_cast<size_t>(p / c.block_tokens)] * c.kv_heads + kv_head) * c.dim * c.block_tokens);
  };
  for (int p = first; p <= position; p++) {
    double score = 0;
    for (int d = 0; d < c.dim; d++) score += rounded(q[d]) * s.k[base(p) + key_at(c, p % c.block_tokens, d)];
    score *= 0.2f;
    if (c.softcap > 0) score = c.softcap * tanh(score / c.softcap);
    scores.push_back(score);
    largest = fmax(largest, score);
  }
  for (double& score : scores) total += score = rounded(exp(score - largest));
  for (int p = first; p <= position; p++) {
    for (int d = 0; d < c.dim; d++) {
      out[static_cast<size_t>(d)] += scores[static_cast<size_t>(p - first)] / total * s.v[base(p) + value_at(c, p % c.block_tokens, d)];
    }
  }
  return out;
}

/// The largest and the mean error.
std::pair<double, double> errors(const Scene& s, const std::vector<float>& out) {
  double most = 0, total = 0;
  size_t at = 0;
  for (size_t b = 0; b < s.spans.size(); b++) {
    for (int i = 0; i < s.spans[b].queries; i++) {
      for (int h = 0; h < s.shape.heads; h++) {
        for (double value : reference(s, b, s.spans[b].context - s.spans[b].queries + i, h, &s.q[at])) {
          const double error = fabs(out[at++] - value);
          most = worse(most, error);
          total += error;
        }
      }
    }
  }
  return {most, total / static_cast<double>(out.size())};
}

void compare(const Shape& shape, const std::vector<Span>& spans) {
  const Scene s = make_scene(shape, spans, static_cast<uint64_t>(shape.dim * 100 + shape.heads));
  char name[128];
  snprintf(name, sizeof name, "attention H %d/%d D %d kv %d bt %d window %d cap %g", shape.heads, shape.kv_heads, shape.dim,
           shape.kv_type, shape.block_tokens, shape.window, static_cast<double>(shape.softcap));
  std::vector<float> first;
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    const std::vector<float> out = attend(s, rig, 0, spans.size());
    if (first.empty()) {
      first = out;
      // Now and then a weight lies so near the middle of two bfloat16 numbers that it is rounded the other way.
      const auto [most, mean] = errors(s, out);
      const bool exact = shape.kv_type == QR_F32;
      check(most < (exact ? 2e-5 : 8e-3) && mean < (exact ? 2e-6 : 5e-5), "%s: error %g, mean %g", name, most, mean);
    }
    check(memcmp(first.data(), out.data(), out.size() * 4) == 0, "%s: same bits on %s", name, rig.label.c_str());
    size_t at = 0;
    bool same = true;
    for (size_t b = 0; b < spans.size(); b++) {
      const std::vector<float> alone = attend(s, rig, b, 1);
      same = same && memcmp(alone.data(), first.data() + at, alone.size() * 4) == 0;
      at += alone.size();
    }
    check(same, "%s: same bits alone on %s", name, rig.label.c_str());
  }
}

/// The last query of a chunk must equal the same query computed as a chunk of one.
void chunking() {
  const Shape shape = {6, 2, 64, QR_BF16, 16, 0, 0};
  Scene s = make_scene(shape, {{75, 40}}, 9);
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    s.spans = {{75, 40}};
    const std::vector<float> whole = attend(s, rig, 0, 1);
    const std::vector<float> all_q = s.q;
    const size_t width = static_cast<size_t>(shape.heads * shape.dim);
    bool same = true;
    for (int i : {0, 1, 15, 16, 38, 39}) {
      s.spans = {{36 + i, 1}};
      s.q.assign(all_q.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(i) * width), all_q.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(i + 1) * width));
      const std::vector<float> one = attend(s, rig, 0, 1);
      same = same && memcmp(one.data(), whole.data() + static_cast<size_t>(i) * width, width * 4) == 0;
    }
    s.q = all_q;
    check(same, "attention: same bits however the prompt is cut (%s)", rig.label.c_str());
  }
}

}  // namespace

void attention_cases() {
  const std::vector<Span> ragged = {{40, 40}, {1, 1}, {2, 1}, {16, 1}, {17, 1}, {18, 2}, {50, 17}, {33, 33}};
  compare({9, 3, 64, QR_BF16, 16, 0, 0}, {{1, 1}, {16, 1}, {17, 1}, {512, 1}, {513, 1}, {514, 2}, {130, 20}, {70, 70}});
  compare({9, 3, 64, QR_F32, 32, 0, 0}, ragged);
  compare({2, 2, 16, QR_F32, 16, 0, 0}, ragged);
  compare({4, 2, 80, QR_BF16, 16, 0, 5.0f}, ragged);
  compare({4, 1, 128, QR_BF16, 48, 0, 0}, ragged);
  compare({7, 1, 64, QR_F32, 16, 7, 0}, ragged);
  compare({14, 2, 20, QR_BF16, 16, 20, 3.0f}, ragged);
  compare({3, 1, 5, QR_F32, 16, 1, 0}, ragged);
  compare({1, 1, 2, QR_BF16, 16, 0, 0}, ragged);
  chunking();
}

}  // namespace conformance
