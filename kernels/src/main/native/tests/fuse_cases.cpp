// A layer run as one list, in which the library joins neighbours, must give the bits of its operations run one by one.
#include <math.h>
#include <string.h>

#include <algorithm>
#include <memory>

#include "harness.h"

namespace conformance {
namespace {

constexpr int kBlockTokens = 16, kPositions = 96;

/// A layer's shape, and the types of its weights: query, key, value; attention's output; gate, up; down.
struct Layer {
  int hidden, heads, kv_heads, dim, inner, kv_type, flags;
  int32_t q, k, v, o, gate, up, down;
  bool norms, bias;
};

/// What a layer computes with; everything that it writes is compared.
struct Memory {
  Floats residual, norm, qkv, queries, attended, gate_up, gated, keys, values;
};

Memory memory(const Layer& c, const std::vector<float>& residual, size_t rows, size_t blocks) {
  const size_t heads = static_cast<size_t>(c.heads), dim = static_cast<size_t>(c.dim);
  const size_t kv_heads = static_cast<size_t>(c.kv_heads), inner = static_cast<size_t>(c.inner);
  const std::vector<float> cache(blocks * kBlockTokens * kv_heads * dim);
  return {Floats(residual),
          Floats(rows * static_cast<size_t>(c.hidden)),
          Floats(rows * (heads + 2 * kv_heads) * dim),
          Floats(rows * heads * dim),
          Floats(rows * heads * dim),
          Floats(rows * 2 * inner),
          Floats(rows * inner),
          Floats(cache),
          Floats(cache)};
}

/// Sequences of so many tokens each, whose blocks lie in reverse.
StepData step_of(const std::vector<int>& lengths, int* blocks) {
  StepData step;
  int used = 0;
  for (int length : lengths) used += (length + kBlockTokens - 1) / kBlockTokens;
  *blocks = used;
  step.table_stride = (*std::max_element(lengths.begin(), lengths.end()) + kBlockTokens - 1) / kBlockTokens;
  for (int length : lengths) {
    const int mine = (length + kBlockTokens - 1) / kBlockTokens;
    used -= mine;
    for (int i = 0; i < step.table_stride; i++) step.blocks.push_back(i < mine ? used + mine - 1 - i : -1);
    for (int p = 0; p < length; p++) {
      step.token.push_back(0);
      step.position.push_back(p);
      step.slot.push_back((used + mine - 1 - p / kBlockTokens) * kBlockTokens + p % kBlockTokens);
    }
    step.query_start.push_back(static_cast<int32_t>(step.token.size()));
  }
  return step;
}

QrWeight packed(Rig& rig, const Matrix& matrix, std::vector<std::vector<uint8_t>>& storage) {
  storage.emplace_back();
  return pack(rig, matrix, storage.back());
}

bool same(const Floats& a, const Floats& b) { return a.equal(b, a.size()); }

void layer(const Layer& c, const std::vector<int>& lengths, uint64_t seed) {
  Random random(seed);
  int blocks = 0;
  StepData step = step_of(lengths, &blocks);
  const size_t rows = step.token.size();
  const std::vector<float> residual = random.normals(rows * static_cast<size_t>(c.hidden));
  const int attended = c.heads * c.dim, cached = c.kv_heads * c.dim, width = attended + 2 * cached;
  Floats weight(random.normals(static_cast<size_t>(c.hidden))), head_norm(random.normals(static_cast<size_t>(c.dim)));
  Floats bias(random.normals(static_cast<size_t>(width))), cos_sin(random.normals(static_cast<size_t>(kPositions * c.dim)));
  const Matrix matrices[] = {random_matrix(c.q, attended, c.hidden, random), random_matrix(c.k, cached, c.hidden, random),
                             random_matrix(c.v, cached, c.hidden, random),   random_matrix(c.o, c.hidden, attended, random),
                             random_matrix(c.gate, c.inner, c.hidden, random), random_matrix(c.up, c.inner, c.hidden, random),
                             random_matrix(c.down, c.hidden, c.inner, random)};
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    std::vector<std::vector<uint8_t>> storage;
    storage.reserve(7);
    QrWeight w[7];
    for (int i = 0; i < 7; i++) w[i] = packed(rig, matrices[i], storage);
    const auto run = [&](Memory& m, bool joined) {
      const QrRmsNorm before = {m.residual.address(), m.norm.address(), weight.address(), c.hidden, 1e-5f};
      const QrLinear qkv = {m.norm.address(), m.qkv.address(), c.bias ? bias.address() : 0, {w[0], w[1], w[2]}, 3,
                            c.hidden, width, 0};
      const QrRopeKv rope = {m.qkv.address(), m.queries.address(), c.norms ? head_norm.address() : 0,
                             c.norms ? head_norm.address() : 0, cos_sin.address(), m.keys.address(), m.values.address(),
                             c.heads, c.kv_heads, c.dim, c.dim, c.kv_type, kBlockTokens, 1e-5f, 0};
      const QrAttention attention = {m.queries.address(), m.attended.address(), m.keys.address(), m.values.address(),
                                     c.heads, c.kv_heads, c.dim, c.kv_type, kBlockTokens, 0, 0.2f, 0};
      const QrLinear out = {m.attended.address(), m.residual.address(), 0, {w[3]}, 1, attended, c.hidden, 0};
      const QrLinear gate_up = {m.norm.address(), m.gate_up.address(), 0, {w[4], w[5]}, 2, c.hidden, 2 * c.inner, 0};
      const QrGated gated = {m.gate_up.address(), m.gated.address(), c.inner, QR_SILU};
      const QrLinear down = {m.gated.address(), m.residual.address(), 0, {w[6]}, 1, c.inner, c.hidden, 0};
      const auto op = [&](int opcode, int flags, const void* args) {
        return QrOp{opcode, flags, reinterpret_cast<uint64_t>(args)};
      };
      const QrOp list[] = {op(QR_OP_RMS_NORM, 0, &before),     op(QR_OP_LINEAR, c.flags, &qkv),
                           op(QR_OP_ROPE_KV, 0, &rope),        op(QR_OP_ATTENTION, 0, &attention),
                           op(QR_OP_LINEAR, c.flags | QR_ADD, &out), op(QR_OP_RMS_NORM, 0, &before),
                           op(QR_OP_LINEAR, c.flags, &gate_up), op(QR_OP_GATED, 0, &gated),
                           op(QR_OP_LINEAR, c.flags | QR_ADD, &down)};
      const QrStep view = step.view();
      const int together = joined ? static_cast<int>(std::size(list)) : 1;
      for (int i = 0; i < static_cast<int>(std::size(list)); i += together) {
        check(qr_submit(rig.device, list + i, together, &view) == QR_OK && qr_wait(rig.device) == QR_OK, "a list runs");
      }
    };
    Memory one = memory(c, residual, rows, static_cast<size_t>(blocks));
    Memory all = memory(c, residual, rows, static_cast<size_t>(blocks));
    run(one, false);
    run(all, true);
    check(same(one.residual, all.residual), "layer of hidden %d, heads %d/%d of %d, inner %d, %d rows: joined, another residual on %s",
          c.hidden, c.heads, c.kv_heads, c.dim, c.inner, static_cast<int>(rows), rig.label.c_str());
    check(same(one.queries, all.queries) && same(one.keys, all.keys) && same(one.values, all.values),
          "layer of hidden %d, heads %d/%d of %d, inner %d, %d rows: joined, another cache on %s", c.hidden, c.heads,
          c.kv_heads, c.dim, c.inner, static_cast<int>(rows), rig.label.c_str());
    check(all.norm.guarded() && all.qkv.guarded() && all.queries.guarded() && all.attended.guarded() &&
              all.gate_up.guarded() && all.gated.guarded() && all.residual.guarded() && all.keys.guarded() && all.values.guarded(),
          "layer of hidden %d: writes only its rows (%s)", c.hidden, rig.label.c_str());
  }
}

/// What a float part of a linear operation reads must be there, though a quantised part beside it takes codes.
void mixed_parts() {
  constexpr int kInner = 64, kRows = 5;
  Random random(77);
  const Matrix codes = random_matrix(QR_Q8_0, 16, kInner, random), floats = random_matrix(QR_F32, 16, kInner, random);
  const Matrix gates = random_matrix(QR_Q8_0, kInner, kInner, random), ups = random_matrix(QR_Q8_0, kInner, kInner, random);
  const std::vector<float> x = random.normals(kRows * kInner);
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    StepData step = StepData::rows(kRows);
    std::vector<std::vector<uint8_t>> storage;
    storage.reserve(4);
    const QrWeight gate = packed(rig, gates, storage), up = packed(rig, ups, storage);
    const QrWeight first = packed(rig, codes, storage), second = packed(rig, floats, storage);
    Floats in(x), gate_up(kRows * 2 * kInner), gated(kRows * kInner), one(kRows * 32), all(kRows * 32);
    const QrLinear both = {in.address(), gate_up.address(), 0, {gate, up}, 2, kInner, 2 * kInner, 0};
    const QrGated gating = {gate_up.address(), gated.address(), kInner, QR_SILU};
    const QrStep view = step.view();
    for (Floats* out : {&one, &all}) {
      const QrLinear down = {gated.address(), out->address(), 0, {first, second}, 2, kInner, 32, 0};
      const QrOp list[] = {{QR_OP_LINEAR, 0, reinterpret_cast<uint64_t>(&both)},
                           {QR_OP_GATED, 0, reinterpret_cast<uint64_t>(&gating)},
                           {QR_OP_LINEAR, 0, reinterpret_cast<uint64_t>(&down)}};
      const int together = out == &all ? 3 : 1;
      if (out == &all) std::fill(gated.data(), gated.data() + gated.size(), 0.0f);
      for (int i = 0; i < 3; i += together) {
        check(qr_submit(rig.device, list + i, together, &view) == QR_OK && qr_wait(rig.device) == QR_OK, "a list runs");
      }
    }
    check(same(one, all), "a gate before parts of codes and of floats: joined, another result on %s", rig.label.c_str());
  }
}

}  // namespace

void fuse_cases() {
  const std::vector<std::vector<int>> steps = {{1}, {1, 1, 1, 1}, {5}, {1, 17, 1}, {33, 1, 1, 40}};
  const Layer layers[] = {
      {64, 9, 3, 64, 192, QR_BF16, 0, QR_Q4_1, QR_Q4_1, QR_Q4_1, QR_Q4_1, QR_Q4_1, QR_Q4_1, QR_Q4_1, false, false},
      {96, 4, 2, 32, 96, QR_BF16, 0, QR_Q4_0, QR_Q4_0, QR_Q8_0, QR_Q4_0, QR_Q8_0, QR_Q4_1, QR_Q4_0, true, true},
      {96, 3, 1, 96, 160, QR_F32, QR_HIGH_PRECISION, QR_Q4_1, QR_Q8_0, QR_Q5_1, QR_Q4_0, QR_Q4_1, QR_Q4_0, QR_Q8_0, false, true},
      {32, 2, 2, 48, 50, QR_BF16, 0, QR_Q8_0, QR_Q8_0, QR_Q8_0, QR_Q5_0, QR_Q8_0, QR_Q8_0, QR_BF16, true, false},
      {256, 5, 1, 256, 256, QR_BF16, 0, QR_Q4_K, QR_Q4_K, QR_Q6_K, QR_Q4_K, QR_Q4_K, QR_Q5_K, QR_Q6_K, false, false},
      {64, 8, 1, 16, 64, QR_F32, 0, QR_F16, QR_Q8_0, QR_Q4_0, QR_Q4_0, QR_F32, QR_Q4_0, QR_Q4_1, false, false},
      {64, 14, 2, 64, 64, QR_BF16, QR_HIGH_PRECISION, QR_Q4_0, QR_Q4_0, QR_Q4_0, QR_Q4_1, QR_Q4_0, QR_Q4_1, QR_Q4_1, true, true},
      {64, 9, 3, 64, 192, QR_KV_INT8, 0, QR_Q4_1, QR_Q4_1, QR_Q4_1, QR_Q4_1, QR_Q4_1, QR_Q4_1, QR_Q4_1, false, true},
      {96, 4, 2, 32, 96, QR_KV_FP8, 0, QR_Q4_0, QR_Q4_0, QR_Q8_0, QR_Q4_0, QR_Q8_0, QR_Q4_1, QR_Q4_0, true, true},
  };
  uint64_t seed = 31;
  for (const Layer& each : layers) {
    for (const std::vector<int>& lengths : steps) layer(each, lengths, seed++);
  }
  mixed_parts();
}

}  // namespace conformance
