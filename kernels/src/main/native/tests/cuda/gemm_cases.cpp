// Matrix products against float64: bf16 tiles, skinny products and quantised weights, edges of every size.
#include <math.h>

#include <algorithm>

#include "../../cuda/float8.h"
#include "../../cuda/rows.h"
#include "harness.h"

namespace cuda_cases {
namespace {

using conformance::float_to_half;
using namespace quire::cuda;

struct Product {
  int rows, n, k;
  bool bias, add, out_float;
};

std::string shape(const Product& p) {
  return std::to_string(p.rows) + " x " + std::to_string(p.n) + " x " + std::to_string(p.k) + (p.bias ? " bias" : "") +
         (p.add ? " add" : "") + (p.out_float ? " float" : "");
}

/// Runs `multiply` on random x and compares with weights given as numbers.
template <class Multiply>
void compare(const std::string& name, const Product& p, const void* weight, const std::vector<double>& w, Random& random,
             Multiply multiply) {
  const std::vector<bf16> x = normals(static_cast<size_t>(p.rows * p.k), random);
  const std::vector<float> bias = random.normals(static_cast<size_t>(p.n));
  const size_t count = static_cast<size_t>(p.rows * p.n);
  const std::vector<bf16> before = normals(count, random);
  std::vector<float> before_float(count);
  for (size_t i = 0; i < count; i++) before_float[i] = value_of(before[i]);
  std::vector<double> wanted(count);
  for (int r = 0; r < p.rows; r++) {
    for (int n = 0; n < p.n; n++) {
      double sum = p.bias ? value_of(bias[static_cast<size_t>(n)]) : 0;
      for (int k = 0; k < p.k; k++) sum += value_of(x[static_cast<size_t>(r * p.k + k)]) * w[static_cast<size_t>(n * p.k + k)];
      const size_t at = static_cast<size_t>(r * p.n + n);
      wanted[at] = sum + (p.add ? value_of(before[at]) : 0);
    }
  }
  Device<bf16> d_x(x), out_bf16(count);
  Device<float> d_bias(bias, Writer::kNobody), out_float(count), slices(static_cast<size_t>(p.n % 128 == 0 ? gemm_workspace(p.rows, p.n, p.k) : 1));
  Device<bf16> added(before);
  Device<float> added_float(before_float);
  void* out = p.out_float ? static_cast<void*>(p.add ? added_float.data() : out_float.data())
                          : static_cast<void*>(p.add ? added.data() : out_bf16.data());
  const GemmArgs args = {d_x.data(), weight, out, p.bias ? d_bias.data() : nullptr, p.rows, p.n, p.k, p.n, p.add, p.out_float,
                         slices.data(), nullptr, nullptr, 0};
  require(multiply(args), name.c_str());
  if (p.out_float) {
    const std::vector<float> got = (p.add ? added_float : out_float).host();
    check(name + " " + shape(p), relative_error(got, wanted), 3e-3);
    digest(got);
  } else {
    const std::vector<bf16> got = (p.add ? added : out_bf16).host();
    check(name + " " + shape(p), relative_error(got, wanted), 4e-3);
    digest(got);
  }
}

void bf16_case(const Product& p, bool skinny, uint64_t seed) {
  Random random(seed);
  const std::vector<bf16> w = normals(static_cast<size_t>(p.n * p.k), random);
  std::vector<double> values;
  for (bf16 v : w) values.push_back(value_of(v));
  Device<bf16> d_w(w, Writer::kNobody);
  if (skinny) {
    compare("skinny bf16", p, d_w.data(), values, random,
            [](const GemmArgs& a) { return gemm_skinny(WeightFormat::kBf16, a, nullptr); });
  } else {
    compare("tile bf16", p, d_w.data(), values, random, [](const GemmArgs& a) { return gemm_tile(a, nullptr); });
  }
  compare("plain bf16", p, d_w.data(), values, random, [](const GemmArgs& a) { return gemm_plain(a, nullptr); });
}

void quant_case(WeightFormat format, const Product& p, uint64_t seed) {
  Random random(seed);
  const size_t count = static_cast<size_t>(p.n * p.k), groups = count / kGroup;
  std::vector<uint8_t> q4(count), q_float(count);
  std::vector<int8_t> q8(count);
  std::vector<uint16_t> scale(groups), minimum(groups);
  for (size_t i = 0; i < groups; i++) {
    scale[i] = float_to_half(0.01f + 0.1f * static_cast<float>(random.uniform()));
    minimum[i] = float_to_half(-0.05f - static_cast<float>(random.uniform()));
  }
  std::vector<double> values(count);
  for (size_t i = 0; i < count; i++) {
    q4[i] = static_cast<uint8_t>(random.below(16));
    q8[i] = static_cast<int8_t>(random.below(256) - 128);
    const size_t group = i / kGroup;  // k is a multiple of 32
    const double factor = conformance::half_to_float(scale[group]), least = conformance::half_to_float(minimum[group]);
    do q_float[i] = static_cast<uint8_t>(random.below(256)); while ((q_float[i] & 0x7f) == 0x7f);  // all but NaN
    const double number = (q_float[i] & 0x78) == 0 ? ldexp(q_float[i] & 7, -9) : ldexp(8 + (q_float[i] & 7), (q_float[i] >> 3 & 15) - 10);
    values[i] = format == WeightFormat::kInt4   ? q4[i] * factor + least
                : format == WeightFormat::kInt8 ? q8[i] * factor
                                                : (q_float[i] < 128 ? number : -number) * factor / kFloat8Unit;
  }
  const std::vector<uint8_t> packed = format == WeightFormat::kInt4   ? pack_int4(q4, scale, minimum, p.n, p.k)
                                      : format == WeightFormat::kInt8 ? pack_int8(q8, scale, p.n, p.k)
                                                                      : pack_float8(q_float, scale, p.n, p.k);
  Device<uint8_t> weight(packed, Writer::kNobody);
  const std::string type = format == WeightFormat::kInt4 ? "int4" : format == WeightFormat::kInt8 ? "int8" : "float8";
  if (p.rows <= kSkinnyRows) {
    compare("skinny " + type, p, weight.data(), values, random,
            [&](const GemmArgs& a) { return gemm_skinny(format, a, nullptr); });
  }
  if (p.n % 128 == 0) {
    compare("quant " + type, p, weight.data(), values, random,
            [&](const GemmArgs& a) { return gemm_quant(format, a, nullptr); });
  }
  Device<bf16> back(count);
  require(dequantise(format, weight.data(), back.data(), p.n, p.k, nullptr), "dequantise");
  const std::vector<bf16> got = back.host();
  check("dequantise " + type + " " + shape(p), relative_error(got, values), 3e-3);
  digest(got);

  // The same matrix as a table of rows.
  const std::vector<int32_t> token = {p.n - 1, 0, 9};
  Device<int32_t> d_token(token);
  Device<bf16> rows(token.size() * static_cast<size_t>(p.k));
  require(embed({weight.data(), format, rows.data(), d_token.data(), static_cast<int32_t>(token.size()), p.k, 1}, nullptr), "embed");
  std::vector<double> picked;
  for (int32_t t : token) picked.insert(picked.end(), values.begin() + t * p.k, values.begin() + (t + 1) * p.k);
  check("embed " + type + " " + shape(p), relative_error(rows.host(), picked), 3e-3);
  digest(rows.host());
}

/// Codes against the nearest of all 256; rows of zeros, and with numbers that are not finite, which spoil no other.
void quantise_rows_case(uint64_t seed) {
  Random random(seed);
  constexpr int kRows = 5, kColumns = 520;
  std::vector<bf16> x = normals(kRows * kColumns, random);
  for (int c = 0; c < kColumns; c++) x[static_cast<size_t>(2 * kColumns + c)] = round_to_bf16(0);
  x[3 * kColumns + 11] = round_to_bf16(NAN);
  for (int c = 0; c < kColumns; c++) x[static_cast<size_t>(4 * kColumns + c)] = round_to_bf16(1e-3 * value_of(x[static_cast<size_t>(c)]));
  Device<bf16> d_x(x, Writer::kNobody);
  Device<uint8_t> codes(kRows * kColumns);
  Device<float> scale(kRows);
  require(quantise_rows(d_x.data(), codes.data(), scale.data(), kRows, kColumns, nullptr), "quantise rows");
  const std::vector<uint8_t> got = codes.host();
  const std::vector<float> scales = scale.host();
  double worst = 0;
  for (int r : {0, 1, 2, 4}) {
    double largest = 0;
    for (int c = 0; c < kColumns; c++) largest = std::max(largest, fabs(static_cast<double>(value_of(x[static_cast<size_t>(r * kColumns + c)]))));
    worst = std::max(worst, fabs(scales[static_cast<size_t>(r)] - largest / 448) / std::max(largest, 1e-30));
    for (int c = 0; c < kColumns; c++) {
      const size_t at = static_cast<size_t>(r * kColumns + c);
      const double wanted = largest == 0 ? 0 : value_of(x[at]) * 448 / largest;
      double nearest = HUGE_VAL;
      for (int code = 0; code < 256; code++) {
        if ((code & 0x7f) != 0x7f) nearest = std::min(nearest, fabs(conformance::e4m3(static_cast<uint8_t>(code)) - wanted));
      }
      worst = std::max(worst, fabs(conformance::e4m3(got[at]) - wanted) - nearest);
    }
  }
  check("quantise rows", worst, 1e-4);
  check("a row that is not finite", isfinite(scales[3]) ? 1 : 0, 0);
  digest(got);
}

void untile_case(uint64_t seed) {
  Random random(seed);
  constexpr int kN = 48, kK = 576;
  std::vector<uint8_t> q(kN * kK);
  for (uint8_t& code : q) code = static_cast<uint8_t>(random.below(256));
  std::vector<uint16_t> scale(kN * kK / kGroup);
  for (size_t i = 0; i < scale.size(); i++) scale[i] = static_cast<uint16_t>(0x2c00 + 5 * (i / (kK / kGroup)));
  Device<uint8_t> tiles(pack_float8(q, scale, kN, kK), Writer::kNobody), codes(kN * kK);
  Device<float> scales(kN);
  require(untile_float8(tiles.data(), codes.data(), scales.data(), kN, kK, nullptr), "untile");
  std::vector<double> wanted;
  for (int r = 0; r < kN; r++) wanted.push_back(conformance::half_to_float(static_cast<uint16_t>(0x2c00 + 5 * r)) / kFloat8Unit);
  check("codes in rows", codes.host() == q ? 0 : 1, 0);
  check("scales of rows", relative_error(scales.host(), wanted), 0);
}

}  // namespace

void gemm_cases() {
  quantise_rows_case(90);
  untile_case(91);
  uint64_t seed = 100;
  for (const Product& p : {Product{1, 64, 64, false, false, false}, {17, 64, 128, true, false, false},
                           {64, 96, 72, false, true, false}, {65, 64, 8, false, false, true},
                           {130, 130, 200, true, true, false}, {128, 128, 256, false, false, false},
                           {33, 66, 320, false, true, true}, {5, 67, 64, true, true, false}, {70, 129, 72, true, true, true}}) {
    bf16_case(p, false, seed++);
  }
  for (const Product& p : {Product{1, 16, 64, false, false, false}, {1, 32, 1600, false, false, false},
                           {7, 48, 1024, true, false, false}, {8, 16, 576, false, true, false},
                           {9, 32, 2048, false, false, true}, {16, 16, 128, true, true, true}}) {
    bf16_case(p, true, seed++);
  }
  for (WeightFormat format : {WeightFormat::kInt4, WeightFormat::kInt8, WeightFormat::kFloat8}) {
    for (const Product& p : {Product{1, 16, 64, false, false, false}, {1, 16, 2560, false, false, false},
                             {5, 32, 1024, true, false, false}, {8, 128, 128, false, true, false},
                             {16, 128, 576, false, false, true}, {17, 128, 1024, true, false, false},
                             {70, 128, 192, false, true, false}, {33, 256, 64, false, false, true}}) {
      quant_case(format, p, seed++);
    }
  }
}

}  // namespace cuda_cases
