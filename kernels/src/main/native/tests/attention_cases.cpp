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

/// Elements of the cache within one head of a block, for position p of the block and element d of the head.
size_t key_at(const Shape& c, int p, int d) {
  return static_cast<size_t>(c.kv_type == QR_F32 ? d * c.block_tokens + p : (d / 2 * c.block_tokens + p) * 2 + d % 2);
}
size_t value_at(const Shape& c, int p, int d) {
  return static_cast<size_t>(c.kv_type == QR_F32 ? p * c.dim + d : (p / 2 * c.dim + d) * 2 + p % 2);
}

/// One element of a head, whose part of a block begins at `head`; where it has a scale, that lies at `scale`.
double put_element(int kv_type, uint8_t* head, size_t at, const uint8_t* scale, Random& random) {
  const float value = random.normal();
  if (kv_type == QR_F32) {
    memcpy(head + at * 4, &value, 4);
    return value;
  }
  if (kv_type == QR_BF16) {
    put_bf16(head + at * 2, to_bf16(value));
    return to_bf16(value);
  }
  float factor;
  memcpy(&factor, scale, 4);
  const int code = kv_type == QR_KV_INT8 ? random.below(255) - 127 : random.below(127) | random.below(2) << 7;
  head[at] = static_cast<uint8_t>(code);
  return code_value(kv_type, head[at]) * factor;
}

void fill_cache(Scene& s, Random& random) {
  const Shape& c = s.shape;
  const size_t heads = static_cast<size_t>(s.n_blocks * c.kv_heads), elements = static_cast<size_t>(c.dim * c.block_tokens);
  const size_t bytes_of_head = head_bytes(c.kv_type, c.dim, c.block_tokens);
  for (int which = 0; which < 2; which++) {
    std::vector<double>& values = which == 0 ? s.k : s.v;
    std::vector<uint8_t>& bytes = which == 0 ? s.k_bytes : s.v_bytes;
    values.resize(heads * elements);
    bytes.resize(heads * bytes_of_head);
    for (size_t h = 0; h < heads; h++) {
      for (int p = 0; p < c.block_tokens; p++) {
        uint8_t* head = &bytes[h * bytes_of_head];
        uint8_t* scale = head + elements + static_cast<size_t>(p) * 4;
        const float factor = static_cast<float>((0.2 + random.uniform()) * (c.kv_type == QR_KV_INT8 ? 0.02 : 0.01));
        if (has_scales(c.kv_type)) memcpy(scale, &factor, 4);
        for (int d = 0; d < c.dim; d++) {
          const size_t at = which == 0 ? key_at(c, p, d) : value_at(c, p, d);
          values[h * elements + at] = put_element(c.kv_type, head, at, scale, random);
        }
      }
    }
  }
}

/// Positions after a sequence's end hold NaN in blocks of its own: they must never be read into a result.
void poison(Scene& s) {
  const Shape& c = s.shape;
  const size_t elements = static_cast<size_t>(c.dim * c.block_tokens), bytes_of_head = head_bytes(c.kv_type, c.dim, c.block_tokens);
  const uint32_t nan = 0x7fc00000;
  for (size_t b = 0; b < s.spans.size(); b++) {
    const int block = s.blocks[b].back();
    for (int p = (s.spans[b].context - 1) % c.block_tokens + 1; p < c.block_tokens; p++) {
      for (int h = 0; h < c.kv_heads; h++) {
        for (int which = 0; which < 2; which++) {
          uint8_t* head = (which == 0 ? s.k_bytes : s.v_bytes).data() + static_cast<size_t>(block * c.kv_heads + h) * bytes_of_head;
          if (has_scales(c.kv_type)) memcpy(head + elements + static_cast<size_t>(p) * 4, &nan, 4);
          for (int d = 0; d < c.dim; d++) {
            const size_t at = which == 0 ? key_at(c, p, d) : value_at(c, p, d);
            if (c.kv_type == QR_F32) {
              memcpy(head + at * 4, &nan, 4);
            } else if (c.kv_type == QR_BF16) {
              memcpy(head + at * 2, reinterpret_cast<const uint8_t*>(&nan) + 2, 2);
            } else {
              head[at] = 0x7f;
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
  auto rounded = [&](double x) { return c.kv_type == QR_F32 || c.kv_type == QR_KV_INT8 ? x : to_bf16(x); };
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
  for (double& score : scores) {
    score = exp(score - largest);
    if (c.kv_type == QR_BF16) score = to_bf16(score);
    total += score;
  }
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

struct Bound {
  double most, mean;
};
Bound bound_of(int kv_type) {
  switch (kv_type) {
    case QR_F32: return {2e-5, 2e-6};
    case QR_BF16: return {8e-3, 5e-5};  // a weight near the middle of two bfloat16 numbers may be rounded the other way
    case QR_KV_FP8: return {1.6e-2, 6e-4};  // values are larger here, and weights are rounded together with their scales
    default: return {5e-4, 5e-5};
  }
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
      const auto [most, mean] = errors(s, out);
      const Bound bound = bound_of(shape.kv_type);
      check(most < bound.most && mean < bound.mean, "%s: error %g, mean %g", name, most, mean);
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
void chunking(int type) {
  const Shape shape = {6, 2, 64, type, 16, 0, 0};
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
    check(same, "attention: same bits however the prompt is cut, kv %d (%s)", type, rig.label.c_str());
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
  for (int type : {QR_KV_INT8, QR_KV_FP8}) {
    compare({9, 3, 64, type, 16, 0, 0}, {{1, 1}, {16, 1}, {17, 1}, {512, 1}, {513, 1}, {514, 2}, {130, 20}, {70, 70}});
    compare({4, 2, 80, type, 16, 0, 5.0f}, ragged);
    compare({4, 1, 128, type, 48, 0, 0}, ragged);
    compare({7, 1, 64, type, 16, 7, 0}, {{40, 40}, {1, 1}, {90, 30}, {150, 70}, {200, 1}});
    compare({14, 2, 20, type, 32, 20, 3.0f}, ragged);
    compare({1, 1, 4, type, 16, 0, 0}, ragged);
    compare({2, 1, 512, type, 16, 0, 0}, {{20, 20}});
  }
  for (int type : {QR_BF16, QR_KV_INT8, QR_KV_FP8}) chunking(type);
}

}  // namespace conformance
