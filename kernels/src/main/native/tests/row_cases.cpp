// Norm, gate, gather, block copies and rotation with the cache, against double precision.
#include <math.h>
#include <string.h>

#include <memory>

#include "harness.h"

namespace conformance {
namespace {

/// Compares with the values wanted and with the bits of the first setup.
void compare(Floats& out, const std::vector<double>& wanted, double tolerance,
             std::unique_ptr<Floats>& first, const Rig& rig, const char* what) {
  double worst = 0;
  for (size_t i = 0; i < wanted.size(); i++) {
    worst = worse(worst, fabs(out.data()[i] - wanted[i]) / (tolerance * (1 + fabs(wanted[i]))));
  }
  check(worst <= 1, "%s on %s: error %.2f of what is allowed", what, rig.label.c_str(), worst);
  check(out.guarded(), "%s on %s: writes only its rows", what, rig.label.c_str());
  if (first == nullptr) {
    first = std::make_unique<Floats>(std::vector<float>(out.data(), out.data() + out.size()));
  }
  check(first->equal(out, out.size()), "%s on %s: same bits", what, rig.label.c_str());
}

void norm(int cols) {
  Random random(static_cast<uint64_t>(cols));
  constexpr int rows = 5;
  Floats x(random.normals(static_cast<size_t>(rows * cols))), weight(random.normals(static_cast<size_t>(cols)));
  std::vector<double> wanted;
  for (int r = 0; r < rows; r++) {
    double squares = 0;
    for (int i = 0; i < cols; i++) squares += pow(x.data()[r * cols + i], 2);
    for (int i = 0; i < cols; i++) {
      wanted.push_back(x.data()[r * cols + i] / sqrt(squares / cols + 1e-5) * weight.data()[i]);
    }
  }
  std::unique_ptr<Floats> first;
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    Floats out(static_cast<size_t>(rows * cols));
    StepData step = StepData::rows(rows);
    const QrRmsNorm op = {x.address(), out.address(), weight.address(), cols, 1e-5f};
    check(rig.run(QR_OP_RMS_NORM, rows % 2 == 0 ? 0 : QR_ROWS_LOGITS, &op, step.view()) == QR_OK, "norm runs");
    compare(out, wanted, 1e-6, first, rig, "norm");
  }
}

void gate(int inner, int activation) {
  Random random(static_cast<uint64_t>(inner + activation));
  constexpr int rows = 3;
  std::vector<float> values = random.normals(static_cast<size_t>(rows * 2 * inner));
  for (float& v : values) v *= 4;
  values[0] = -200;  // e^200 is beyond float
  if (inner > 1) values[1] = 200;
  Floats x(values);
  std::vector<double> wanted;
  for (int r = 0; r < rows; r++) {
    for (int i = 0; i < inner; i++) {
      const double g = x.data()[r * 2 * inner + i], up = x.data()[r * 2 * inner + inner + i];
      const double act = activation == QR_SILU ? g / (1 + exp(-g))
                                               : 0.5 * g * (1 + tanh(sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)));
      wanted.push_back(act * up);
    }
  }
  std::unique_ptr<Floats> first;
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    Floats out(static_cast<size_t>(rows * inner));
    StepData step = StepData::rows(rows);
    const QrGated op = {x.address(), out.address(), inner, activation};
    check(rig.run(QR_OP_GATED, 0, &op, step.view()) == QR_OK, "gated runs");
    compare(out, wanted, 4e-6, first, rig, "gated");
  }
}

void gather() {
  Random random(5);
  Floats x(random.normals(7 * 19));
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    StepData step = StepData::rows(7);
    step.logits_row = {6, 0, 3};
    Floats out(3 * 19);
    const QrGatherRows op = {x.address(), out.address(), 19, 0};
    check(rig.run(QR_OP_GATHER_ROWS, 0, &op, step.view()) == QR_OK, "gather runs");
    bool ok = out.guarded();
    for (int r = 0; r < 3; r++) {
      ok = ok && memcmp(out.data() + r * 19, x.data() + step.logits_row[static_cast<size_t>(r)] * 19, 19 * 4) == 0;
    }
    check(ok, "gather on %s", rig.label.c_str());
  }
}

/// Device block 1 goes out, and comes back as block 0 while block 3 is replaced by what the host had.
void swap() {
  Random random(16);
  constexpr int regions = 3, blocks = 5, host_blocks = 4, floats = 24;
  const std::vector<float> before = random.normals(regions * blocks * floats), kept = random.normals(host_blocks * regions * floats);
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    Floats cache(before);
    uint64_t host = 0;
    check(qr_host_alloc(rig.device, kept.size() * 4, &host) == QR_OK, "host memory");
    float* stored = reinterpret_cast<float*>(host);
    memcpy(stored, kept.data(), kept.size() * 4);
    StepData step = StepData::rows(0);
    step.swaps_out = {1, 2};
    step.swaps_in = {2, 0, 3, 3};
    QrSwapBlocks op = {cache.address(), blocks * floats * 4, floats * 4, host, regions, host_blocks};
    check(rig.run(QR_OP_SWAP_BLOCKS, 0, &op, step.view()) == QR_OK, "swap runs");
    bool ok = cache.guarded();
    for (int r = 0; r < regions; r++) {
      const float* was = before.data() + r * blocks * floats;
      const float* is = cache.data() + r * blocks * floats;
      for (int b : {1, 2, 4}) ok = ok && memcmp(is + b * floats, was + b * floats, floats * 4) == 0;
      ok = ok && memcmp(is, was + floats, floats * 4) == 0;
      ok = ok && memcmp(is + 3 * floats, kept.data() + (3 * regions + r) * floats, floats * 4) == 0;
      ok = ok && memcmp(stored + (2 * regions + r) * floats, was + floats, floats * 4) == 0;
      for (int h : {0, 1, 3}) {
        ok = ok && memcmp(stored + (h * regions + r) * floats, kept.data() + (h * regions + r) * floats, floats * 4) == 0;
      }
    }
    check(ok, "blocks swapped on %s", rig.label.c_str());
    for (const std::vector<int32_t>& bad : {std::vector<int32_t>{5, 0}, {0, 4}, {-1, 0}, {0, -1}}) {
      step.swaps_in.clear();
      step.swaps_out = bad;
      check(rig.run(QR_OP_SWAP_BLOCKS, 0, &op, step.view()) == QR_INVALID, "swap out of (%d, %d)", bad[0], bad[1]);
      step.swaps_out.clear();
      step.swaps_in = {bad[1], bad[0]};
      check(rig.run(QR_OP_SWAP_BLOCKS, 0, &op, step.view()) == QR_INVALID, "swap in of (%d, %d)", bad[1], bad[0]);
    }
    check(qr_host_free(rig.device, host, kept.size() * 4) == QR_OK, "host memory is freed");
  }
}

void copy() {
  Random random(6);
  constexpr int regions = 3, blocks = 5, floats = 24;
  const std::vector<float> before = random.normals(regions * blocks * floats);
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    Floats cache(before);
    StepData step = StepData::rows(0);
    step.copies = {0, 4, 2, 1};
    const QrCopyBlocks op = {cache.address(), blocks * floats * 4, floats * 4, regions, 0};
    check(rig.run(QR_OP_COPY_BLOCKS, 0, &op, step.view()) == QR_OK, "copy runs");
    const int source[] = {0, 2, 2, 3, 0};
    bool ok = cache.guarded();
    for (int r = 0; r < regions; r++) {
      for (int b = 0; b < blocks; b++) {
        ok = ok && memcmp(cache.data() + (r * blocks + b) * floats,
                          before.data() + (r * blocks + source[b]) * floats, floats * 4) == 0;
      }
    }
    check(ok, "block copies on %s", rig.label.c_str());
  }
}

struct Rope {
  int heads, kv_heads, dim, rotary, kv_type, block_tokens;
  bool norm, interleaved;
};

double rotated(const std::vector<double>& head, const Rope& c, const float* cos_sin, int i) {
  const int pairs = c.rotary / 2;
  if (i >= c.rotary) return head[static_cast<size_t>(i)];
  const int pair = c.interleaved ? i / 2 : i % pairs;
  const bool second = c.interleaved ? i % 2 == 1 : i >= pairs;
  const double a = head[static_cast<size_t>(c.interleaved ? 2 * pair : pair)];
  const double b = head[static_cast<size_t>(c.interleaved ? 2 * pair + 1 : pair + pairs)];
  const double cosine = cos_sin[pair], sine = cos_sin[pairs + pair];
  return second ? b * cosine + a * sine : a * cosine - b * sine;
}

std::vector<double> prepared(const float* in, const Rope& c, const float* norm, const float* cos_sin) {
  std::vector<double> head(in, in + c.dim), out;
  if (c.norm) {
    double squares = 0;
    for (double v : head) squares += v * v;
    for (int i = 0; i < c.dim; i++) head[static_cast<size_t>(i)] *= norm[i] / sqrt(squares / c.dim + 1e-6);
  }
  for (int i = 0; i < c.dim; i++) out.push_back(rotated(head, c, cos_sin, i));
  return out;
}

/// How far element `at` of a head of a block is from what was wanted, in units of what is allowed. `largest` is that of
/// the head at position `in` of the block.
double stored_error(const std::vector<float>& cache, const Rope& c, int head, int in, int at, double wanted, double largest) {
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(cache.data()) + static_cast<size_t>(head) * head_bytes(c.kv_type, c.dim, c.block_tokens);
  float value = 0;
  if (c.kv_type == QR_F32) {
    memcpy(&value, bytes + at * 4, 4);
    return fabs(value - wanted) / (3e-6 * (1 + fabs(wanted)));
  }
  if (c.kv_type == QR_BF16) {
    memcpy(reinterpret_cast<char*>(&value) + 2, bytes + at * 2, 2);
    return fabs(value - wanted) / (4e-3 * (1 + fabs(wanted)));
  }
  memcpy(&value, bytes + c.dim * c.block_tokens + in * 4, 4);
  const double unit = largest / (c.kv_type == QR_KV_INT8 ? 127 : 448), exact = wanted / unit;
  double nearest = HUGE_VAL;
  for (int code = 0; code < 256; code++) nearest = fmin(nearest, fabs(code_value(c.kv_type, static_cast<uint8_t>(code)) - exact));
  const double beyond = fabs(code_value(c.kv_type, bytes[at]) - exact) - nearest;
  return worse(fabs(value / unit - 1) / 1e-5, beyond / (1e-4 * (1 + fabs(exact))));
}

struct RopeData {
  std::vector<float> qkv, q_norm, k_norm, cos_sin;
  StepData step;
};

constexpr int kTokens = 4, kPositions = 9, kBlocks = 3;

RopeData rope_data(const Rope& c) {
  Random random(static_cast<uint64_t>(c.dim));
  RopeData d;
  const size_t row = static_cast<size_t>((c.heads + 2 * c.kv_heads) * c.dim);
  d.qkv = random.normals(kTokens * row);
  d.q_norm = random.normals(static_cast<size_t>(c.dim));
  d.k_norm = random.normals(static_cast<size_t>(c.dim));
  for (int p = 0; p < kPositions; p++) {
    for (int i = 0; i < c.rotary; i++) {
      const double angle = p / pow(100, 2.0 * (i % (c.rotary / 2)) / c.rotary);
      d.cos_sin.push_back(static_cast<float>(i < c.rotary / 2 ? cos(angle) : sin(angle)));
    }
  }
  d.step = StepData::rows(kTokens);
  d.step.position = {0, 8, 3, 5};
  d.step.slot = {2 * c.block_tokens + 1, c.block_tokens - 1, -1, 0};
  return d;
}

void check_rope(const Rope& c, RopeData& d, Floats& q, const std::vector<float>& k, const std::vector<float>& v,
                const char* label) {
  double worst = 0;
  for (int t = 0; t < kTokens; t++) {
    const float* row = &d.qkv[static_cast<size_t>(t * (c.heads + 2 * c.kv_heads) * c.dim)];
    const float* cs = &d.cos_sin[static_cast<size_t>(d.step.position[static_cast<size_t>(t)] * c.rotary)];
    for (int h = 0; h < c.heads; h++) {
      const std::vector<double> wanted = prepared(row + h * c.dim, c, d.q_norm.data(), cs);
      for (int i = 0; i < c.dim; i++) {
        const double got = q.data()[(t * c.heads + h) * c.dim + i], want = wanted[static_cast<size_t>(i)];
        worst = worse(worst, fabs(got - want) / (3e-6 * (1 + fabs(want))));
      }
    }
    const int slot = d.step.slot[static_cast<size_t>(t)];
    for (int h = 0; slot >= 0 && h < c.kv_heads; h++) {
      const std::vector<double> key = prepared(row + (c.heads + h) * c.dim, c, d.k_norm.data(), cs);
      const float* value = row + (c.heads + c.kv_heads + h) * c.dim;
      const int head = slot / c.block_tokens * c.kv_heads + h, in = slot % c.block_tokens;
      double largest_k = 0, largest_v = 0;
      for (int i = 0; i < c.dim; i++) {
        largest_k = fmax(largest_k, fabs(key[static_cast<size_t>(i)]));
        largest_v = fmax(largest_v, fabs(value[i]));
      }
      for (int i = 0; i < c.dim; i++) {
        const bool pairs = c.kv_type != QR_F32;
        const int key_at = pairs ? (i / 2 * c.block_tokens + in) * 2 + i % 2 : i * c.block_tokens + in;
        const int value_at = pairs ? (in / 2 * c.dim + i) * 2 + in % 2 : in * c.dim + i;
        worst = worse(worst, stored_error(k, c, head, in, key_at, key[static_cast<size_t>(i)], largest_k));
        worst = worse(worst, stored_error(v, c, head, in, value_at, value[i], largest_v));
      }
    }
  }
  check(worst <= 1, "rope D %d on %s: error %.2f of what is allowed", c.dim, label, worst);
}

void rope(const Rope& c) {
  RopeData d = rope_data(c);
  const size_t elements = static_cast<size_t>(kBlocks * c.kv_heads * c.dim * c.block_tokens);
  std::vector<float> first_q, first_k, first_v;
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    Floats qkv(d.qkv), q_norm(d.q_norm), k_norm(d.k_norm), cos_sin(d.cos_sin);
    Floats q(static_cast<size_t>(kTokens * c.heads * c.dim)), k(elements), v(elements);
    QrRopeKv op = {qkv.address(), q.address(), c.norm ? q_norm.address() : 0, c.norm ? k_norm.address() : 0,
                   cos_sin.address(), k.address(), v.address(), c.heads, c.kv_heads, c.dim, c.rotary, c.kv_type,
                   c.block_tokens, 1e-6f, 0};
    check(rig.run(QR_OP_ROPE_KV, c.interleaved ? QR_INTERLEAVED : 0, &op, d.step.view()) == QR_OK, "rope runs");
    const std::vector<float> got_k(k.data(), k.data() + elements), got_v(v.data(), v.data() + elements);
    check_rope(c, d, q, got_k, got_v, rig.label.c_str());
    const std::vector<float> got_q(q.data(), q.data() + q.size());
    if (first_q.empty()) {
      first_q = got_q;
      first_k = got_k;
      first_v = got_v;
    }
    check(got_q == first_q && memcmp(got_k.data(), first_k.data(), elements * 4) == 0 &&
              memcmp(got_v.data(), first_v.data(), elements * 4) == 0 && q.guarded() && k.guarded() && v.guarded(),
          "rope D %d on %s: same bits", c.dim, rig.label.c_str());
  }
}

}  // namespace

void row_cases() {
  for (int cols : {1, 15, 16, 17, 576}) norm(cols);
  for (int inner : {1, 16, 50}) {
    gate(inner, QR_SILU);
    gate(inner, QR_GELU_TANH);
  }
  gather();
  copy();
  swap();
}

void rope_cases() {
  rope({9, 3, 64, 64, QR_BF16, 16, false, false});
  rope({9, 3, 64, 64, QR_F32, 32, false, true});
  rope({4, 2, 128, 128, QR_BF16, 16, true, false});
  rope({2, 1, 80, 20, QR_F32, 16, true, true});
  rope({3, 3, 6, 4, QR_BF16, 16, false, false});
  for (int type : {QR_KV_INT8, QR_KV_FP8}) {
    rope({9, 3, 64, 64, type, 16, false, false});
    rope({4, 2, 128, 128, type, 16, true, false});
    rope({2, 1, 20, 20, type, 32, true, true});
  }
}

}  // namespace conformance
