// Norm, rotation with cache write, gate, embedding, gather and block copies against float64.
#include <algorithm>

#include "../../cuda/rows.h"
#include "harness.h"

namespace cuda_cases {
namespace {

using namespace quire::cuda;

void norm_case(int rows, int cols, bool add, uint64_t seed) {
  Random random(seed);
  const size_t count = static_cast<size_t>(rows * cols);
  const std::vector<bf16> x = normals(count, random), delta = normals(count, random);
  const std::vector<float> weight = random.normals(static_cast<size_t>(cols));
  std::vector<double> wanted(count), sums(count);
  for (int r = 0; r < rows; r++) {
    double square = 0;
    for (int c = 0; c < cols; c++) {
      const size_t at = static_cast<size_t>(r * cols + c);
      sums[at] = value_of(round_to_bf16(value_of(x[at]) + (add ? value_of(delta[at]) : 0)));
      square += sums[at] * sums[at];
    }
    for (int c = 0; c < cols; c++) {
      const size_t at = static_cast<size_t>(r * cols + c);
      wanted[at] = sums[at] / sqrt(square / cols + 1e-5) * weight[static_cast<size_t>(c)];
    }
  }
  Device<bf16> d_x(x), d_delta(delta), out(count);
  Device<float> d_weight(weight, Writer::kNobody);
  require(rms_norm({d_x.data(), add ? d_delta.data() : nullptr, d_weight.data(), out.data(), rows, cols, 1e-5f}, nullptr), "norm");
  const std::string name = "norm " + std::to_string(rows) + " x " + std::to_string(cols);
  const std::vector<bf16> got = out.host();
  check(name, relative_error(got, wanted), 3e-3);
  check(name + " residual", relative_error(d_x.host(), sums), 0);
  digest(got);
}

struct Rotation {
  int tokens, heads, kv_heads, dim, rotary, interleaved;
  bool norm;
  KvKind kv = KvKind::kBf16;
};

/// How far a cache is from what was wanted, where something was. In bf16 as relative_error. Codes must be the nearest by
/// the definition: 0 if they are, and the scales too.
double cache_error(const Rotation& r, const std::vector<uint8_t>& cache, const std::vector<double>& wanted) {
  const size_t rows = wanted.size() / static_cast<size_t>(r.dim), dim = static_cast<size_t>(r.dim);
  if (!scaled(r.kv)) {
    std::vector<bf16> values(wanted.size());
    memcpy(values.data(), cache.data(), cache.size());
    return relative_error(values, wanted);
  }
  const double most = r.kv == KvKind::kInt8 ? 127 : 448;
  double error = 0;
  auto add = [&](double one) { error = one <= error ? error : one; };  // NaN too
  for (size_t row = 0; row < rows; row++) {
    const uint8_t* head = &cache[row / 16 * 16 * (dim + 4)];
    float scale;
    memcpy(&scale, head + 16 * dim + row % 16 * 4, 4);
    double largest = 0;
    for (size_t d = 0; d < dim; d++) largest = std::max(largest, fabs(wanted[row * dim + d]));
    add(fabs(scale - largest / most) - 1e-4 * largest / most);
    for (size_t d = 0; d < dim && largest > 0; d++) {
      auto distance = [&](int code) {
        const double value = r.kv == KvKind::kInt8 ? static_cast<int8_t>(code) : conformance::e4m3(static_cast<uint8_t>(code));
        return fabs(value - wanted[row * dim + d] * most / largest);
      };
      double nearest = HUGE_VAL;
      for (int code = 0; code < 256; code++) nearest = fmin(nearest, distance(code));
      add(distance(head[row % 16 * dim + d]) - nearest - 1e-2);  // of rotation in float32
    }
  }
  return error;
}

void rope_case(const Rotation& r, uint64_t seed) {
  Random random(seed);
  const int width = (r.heads + 2 * r.kv_heads) * r.dim, blocks = 4;
  const std::vector<bf16> qkv = normals(static_cast<size_t>(r.tokens * width), random);
  const std::vector<float> q_norm = random.normals(static_cast<size_t>(r.dim)), k_norm = random.normals(static_cast<size_t>(r.dim));
  std::vector<float> cos_sin(static_cast<size_t>(64 * r.rotary));
  for (float& v : cos_sin) v = static_cast<float>(2 * random.uniform() - 1);
  std::vector<int32_t> position, slot;
  for (int t = 0; t < r.tokens; t++) {
    position.push_back(random.below(64));
    slot.push_back(t == 1 ? -1 : (t * 17 + 5) % (blocks * 16));
  }
  const size_t cache_size = static_cast<size_t>(blocks * r.kv_heads * 16 * r.dim);
  std::vector<double> wanted_q(static_cast<size_t>(r.tokens * r.heads * r.dim)), wanted_k(cache_size), wanted_v(cache_size);
  for (int t = 0; t < r.tokens; t++) {
    for (int h = 0; h < r.heads + 2 * r.kv_heads; h++) {
      std::vector<double> v(static_cast<size_t>(r.dim));
      double square = 0;
      for (int d = 0; d < r.dim; d++) {
        v[static_cast<size_t>(d)] = value_of(qkv[static_cast<size_t>(t * width + h * r.dim + d)]);
        square += v[static_cast<size_t>(d)] * v[static_cast<size_t>(d)];
      }
      const bool is_q = h < r.heads, is_v = h >= r.heads + r.kv_heads;
      if (r.norm && !is_v) {
        for (size_t d = 0; d < v.size(); d++) v[d] *= (is_q ? q_norm : k_norm)[d] / sqrt(square / r.dim + 1e-6);
      }
      for (int p = 0; p < r.rotary / 2 && !is_v; p++) {
        double& x = v[static_cast<size_t>(r.interleaved ? 2 * p : p)];
        double& y = v[static_cast<size_t>(r.interleaved ? 2 * p + 1 : p + r.rotary / 2)];
        const float* row = &cos_sin[static_cast<size_t>(position[static_cast<size_t>(t)] * r.rotary)];
        const double c = row[p], s = row[p + r.rotary / 2], real = x * c - y * s;
        y = y * c + x * s;
        x = real;
      }
      const int s = slot[static_cast<size_t>(t)];
      for (int d = 0; d < r.dim; d++) {
        if (is_q) {
          wanted_q[static_cast<size_t>((t * r.heads + h) * r.dim + d)] = v[static_cast<size_t>(d)];
        } else if (s >= 0) {
          const int kv_head = (h - r.heads) % r.kv_heads;
          (is_v ? wanted_v : wanted_k)[static_cast<size_t>(((s / 16 * r.kv_heads + kv_head) * 16 + s % 16) * r.dim + d)] = v[static_cast<size_t>(d)];
        }
      }
    }
  }
  const std::vector<uint8_t> zeros(cache_size / static_cast<size_t>(r.dim) * static_cast<size_t>(token_bytes(r.kv, r.dim)));
  Device<bf16> d_qkv(qkv), q_out(wanted_q.size());
  Device<uint8_t> k(zeros), v(zeros);
  Device<float> d_qn(q_norm, Writer::kNobody), d_kn(k_norm, Writer::kNobody), table(cos_sin, Writer::kNobody);
  Device<int32_t> d_position(position), d_slot(slot);
  require(rope_kv({d_qkv.data(), q_out.data(), r.norm ? d_qn.data() : nullptr, r.norm ? d_kn.data() : nullptr, table.data(),
                   k.data(), v.data(), d_position.data(), d_slot.data(), r.tokens, r.heads, r.kv_heads, r.dim, r.rotary, 4,
                   r.interleaved, 1e-6f, r.kv},
                  nullptr),
          "rope");
  const std::string name = "rope D " + std::to_string(r.dim) + " of " + std::to_string(r.rotary) + (r.interleaved ? " interleaved" : "") + (r.norm ? " norm" : "") + (r.kv == KvKind::kInt8 ? ", int8" : r.kv == KvKind::kFp8 ? ", fp8" : "");
  const std::vector<bf16> got = q_out.host();
  check(name + " q", relative_error(got, wanted_q), 3e-3);
  check(name + " k", cache_error(r, k.host(), wanted_k), scaled(r.kv) ? 0 : 3e-3);
  check(name + " v", cache_error(r, v.host(), wanted_v), 0);
  digest(got);
  digest(k.host());
}

/// A value of which every element is a code or lies in the middle of two.
void ties_case() {
  constexpr int kDim = 256;
  std::vector<bf16> qkv(3 * kDim, bf16{0});
  std::vector<uint8_t> wanted(kDim);
  size_t at = 0;
  for (const auto& [value, code] : conformance::e4m3_ties()) {
    qkv[2 * kDim + at] = round_to_bf16(value);
    wanted[at++] = code;
  }
  const std::vector<float> table(kDim, 1.0f);
  const std::vector<int32_t> zero(1, 0);
  Device<bf16> d_qkv(qkv), q(kDim);
  Device<uint8_t> k(16 * (kDim + 4)), v(16 * (kDim + 4));
  Device<float> cos_sin(table, Writer::kNobody);
  Device<int32_t> position(zero), slot(zero);
  require(rope_kv({d_qkv.data(), q.data(), nullptr, nullptr, cos_sin.data(), k.data(), v.data(), position.data(), slot.data(), 1, 1, 1,
                   kDim, kDim, 4, 0, 1e-6f, KvKind::kFp8},
                  nullptr),
          "rope");
  const std::vector<uint8_t> got = v.host();
  check("fp8 codes of ties", std::equal(wanted.begin(), wanted.end(), got.begin()) ? 0 : 1, 0);
}

void gated_case(int tokens, int inner, int gelu, uint64_t seed) {
  Random random(seed);
  const std::vector<bf16> gate_up = normals(static_cast<size_t>(tokens * 2 * inner), random, 2);
  std::vector<double> wanted;
  for (int t = 0; t < tokens; t++) {
    for (int i = 0; i < inner; i++) {
      const double x = value_of(gate_up[static_cast<size_t>(t * 2 * inner + i)]), up = value_of(gate_up[static_cast<size_t>(t * 2 * inner + inner + i)]);
      wanted.push_back(up * (gelu ? 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))) : x / (1 + exp(-x))));
    }
  }
  Device<bf16> in(gate_up), out(wanted.size());
  require(gated({in.data(), out.data(), tokens, inner, gelu}, nullptr), "gated");
  const std::vector<bf16> got = out.host();
  check(std::string("gated ") + (gelu ? "gelu " : "silu ") + std::to_string(tokens) + " x " + std::to_string(inner), relative_error(got, wanted), 3e-3);
  digest(got);
}

void move_cases() {
  Random random(3);
  const int cols = 72, vocab = 9;
  const std::vector<bf16> table = normals(static_cast<size_t>(vocab * cols), random);
  const std::vector<int32_t> token = {3, 5, 0}, rows = {2, 2, 0, 1};
  Device<bf16> d_table(table, Writer::kNobody), out(static_cast<size_t>(3 * cols)), gathered(static_cast<size_t>(4 * cols));
  Device<int32_t> d_token(token), d_rows(rows);
  require(embed({d_table.data(), WeightFormat::kBf16, out.data(), d_token.data(), 3, cols, 2}, nullptr), "embed");
  require(gather_rows(out.data(), d_rows.data(), gathered.data(), 4, cols, nullptr), "gather");
  std::vector<double> wanted, picked;
  for (int t : {3, 5, 0}) {
    for (int c = 0; c < cols; c++) wanted.push_back(2 * value_of(table[static_cast<size_t>(t * cols + c)]));
  }
  for (int r : rows) picked.insert(picked.end(), wanted.begin() + r * cols, wanted.begin() + (r + 1) * cols);
  check("embed", relative_error(out.host(), wanted), 0);
  check("gather rows", relative_error(gathered.host(), picked), 0);
  digest(gathered.host());

  const std::vector<float> bias = random.normals(37);
  Device<float> d_bias(bias, Writer::kNobody);
  Device<bf16> repeated(std::vector<bf16>(3 * 40, bf16{1}));
  require(repeat_row(d_bias.data(), repeated.data(), 3, 37, 40, nullptr), "repeat row");
  std::vector<double> rows_of_bias;
  for (int i = 0; i < 3 * 40; i++) rows_of_bias.push_back(i % 40 < 37 ? value_of(round_to_bf16(bias[static_cast<size_t>(i % 40)])) : value_of(bf16{1}));
  check("repeat row", relative_error(repeated.host(), rows_of_bias), 0);

  // What was not finite is -1, what is beyond the vocabulary its last token.
  Device<int32_t> carry(std::vector<int32_t>{2, -1, 0, 1, 1}, Writer::kNobody), drawn(std::vector<int32_t>{44, -1, 7}, Writer::kNobody);
  Device<int32_t> carried(std::vector<int32_t>{1, 2, 3, 4, 5});
  require(carry_tokens({carry.data(), drawn.data(), carried.data(), 5, 40}, nullptr), "carry tokens");
  check("carry tokens", carried.host() == std::vector<int32_t>{7, 2, 39, 0, 0} ? 0 : 1, 0);

  std::vector<uint8_t> memory(2 * 5 * 48);
  for (uint8_t& byte : memory) byte = static_cast<uint8_t>(random.next());
  std::vector<uint8_t> moved = memory;
  for (size_t region : {size_t{0}, size_t{240}}) {
    std::copy_n(memory.begin() + static_cast<ptrdiff_t>(region + 48), 48, moved.begin() + static_cast<ptrdiff_t>(region + 4 * 48));
    std::copy_n(memory.begin() + static_cast<ptrdiff_t>(region + 48), 48, moved.begin() + static_cast<ptrdiff_t>(region));
  }
  Device<uint8_t> base(memory);
  Device<int32_t> pairs(std::vector<int32_t>{1, 4, 1, 0});
  require(copy_blocks(base.data(), pairs.data(), 2, 240, 48, 2, nullptr), "copy blocks");
  check("copy blocks", base.host() == moved ? 0 : 1, 0);

  const std::vector<float> parts = random.normals(3 * 2 * 500);
  Device<float> d_parts(parts), placed(2 * 1400);
  require(place_columns(d_parts.data(), placed.data(), 2, 500, 1400, nullptr), "place columns");
  std::vector<double> side_by_side;
  for (size_t i = 0; i < 2800; i++) side_by_side.push_back(parts[(i % 1400 / 500 * 2 + i / 1400) * 500 + i % 1400 % 500]);
  check("place columns", relative_error(placed.host(), side_by_side), 0);
  digest(placed.host());

  // Device block 1 goes out to host block 2, and comes back as block 0 beside host block 3 as block 4.
  std::vector<uint8_t> kept(4 * 2 * 48);
  for (uint8_t& byte : kept) byte = static_cast<uint8_t>(random.next());
  std::vector<uint8_t> on_device = memory, on_host = kept;
  for (ptrdiff_t r : {0, 1}) {
    std::copy_n(memory.begin() + r * 240 + 48, 48, on_host.begin() + (2 * 2 + r) * 48);
    std::copy_n(memory.begin() + r * 240 + 48, 48, on_device.begin() + r * 240);
    std::copy_n(kept.begin() + (3 * 2 + r) * 48, 48, on_device.begin() + r * 240 + 4 * 48);
  }
  Device<uint8_t> cache(memory), host(kept);
  Device<int32_t> pairs_out(std::vector<int32_t>{1, 2}), pairs_in(std::vector<int32_t>{2, 0, 3, 4});
  require(swap_blocks({cache.data(), host.data(), pairs_out.data(), 240, 48, 2, 1, true}, nullptr), "swap out");
  require(swap_blocks({cache.data(), host.data(), pairs_in.data(), 240, 48, 2, 2, false}, nullptr), "swap in");
  check("swap blocks", cache.host() == on_device && host.host() == on_host ? 0 : 1, 0);

  // A step may have no rows for an operation.
  Device<float> ones(std::vector<float>(static_cast<size_t>(cols), 1), Writer::kNobody);
  require(embed({d_table.data(), WeightFormat::kBf16, out.data(), d_token.data(), 0, cols, 1}, nullptr), "embed of nothing");
  require(gather_rows(out.data(), d_rows.data(), gathered.data(), 0, cols, nullptr), "gather of nothing");
  require(rms_norm({out.data(), nullptr, ones.data(), gathered.data(), 0, cols, 1e-5f}, nullptr), "norm of nothing");
  require(gated({out.data(), gathered.data(), 0, 8, 0}, nullptr), "gate of nothing");
  require(copy_blocks(base.data(), pairs.data(), 0, 240, 48, 2, nullptr), "no blocks to copy");
}

}  // namespace

void row_cases() {
  norm_case(1, 64, false, 1);
  norm_case(3, 4096, true, 2);
  norm_case(2, 8200, true, 3);
  norm_case(2, 16384, true, 5);
  norm_case(2, 24000, false, 4);
  norm_case(2, 40008, true, 6);
  uint64_t seed = 10;
  for (Rotation r : {Rotation{3, 4, 2, 128, 128, 0, false}, {3, 3, 1, 64, 64, 0, true}, {2, 2, 1, 80, 32, 0, false},
                            {3, 2, 2, 128, 64, 1, false}, {2, 2, 1, 256, 256, 0, true}, {3, 8, 4, 96, 96, 1, true},
                            {2, 3, 1, 80, 20, 0, true}, {2, 2, 2, 100, 36, 1, false}}) {
    for (const KvKind kv : {KvKind::kBf16, KvKind::kInt8, KvKind::kFp8}) {
      r.kv = kv;
      rope_case(r, seed);
    }
    seed++;
  }
  ties_case();
  gated_case(1, 8, 0, 30);
  gated_case(5, 264, 0, 31);
  gated_case(3, 1000, 1, 32);
  move_cases();
}

}  // namespace cuda_cases
