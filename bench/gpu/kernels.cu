// The table of kernels: each is compared with the plain one on the sizes that are timed, then timed.
#include <math.h>
#include <string.h>

#include <random>

#include "attention_scene.h"
#include "bench.h"
#include "experts.h"
#include "linear.h"
#include "product.h"
#include "rows.h"
#include "sample.h"

namespace quire::bench {
namespace {

using namespace quire::cuda;
using conformance::distance;
using cuda_cases::AttentionScene;
using cuda_cases::AttentionShape;

constexpr int64_t kPastCaches = 256 << 20;  // inputs of a row rotate over at least this many bytes

std::vector<float> download(const bf16* p, int64_t n) {
  std::vector<uint16_t> bits(static_cast<size_t>(n));
  must(cudaDeviceSynchronize(), "run");
  must(cudaMemcpy(bits.data(), p, bits.size() * 2, cudaMemcpyDeviceToHost), "download");
  std::vector<float> values;
  for (uint16_t b : bits) {
    const uint32_t word = static_cast<uint32_t>(b) << 16;
    float value;
    memcpy(&value, &word, 4);
    values.push_back(value);
  }
  return values;
}

void expect(const std::string& name, double error, double bound) {
  if (error <= bound) return;
  printf("WRONG %s: distance %.3g, allowed %.3g\n", name.c_str(), error, bound);
  wrong++;
}

/// A step of the full lengths; the shim takes the first sequences, of a 64th.
std::vector<AttentionSpan> shortened(std::vector<AttentionSpan> spans) {
  if (!kShim) return spans;
  if (spans.size() > 3) spans.resize(3);
  for (AttentionSpan& s : spans) s = {0, ceil_div(s.queries, 64), std::max(ceil_div(s.queries, 64), ceil_div(s.length, 64))};
  return spans;
}

/// Keys or values: random numbers, in codes with a scale of 1/64 behind those of each head of a block.
void* random_cache(const AttentionScene& scene, int seed) {
  const AttentionShape& h = scene.shape;
  if (h.kv == KvKind::kBf16) return random_bf16(scene.cache_size(), 1, seed);
  std::vector<uint8_t> bytes(static_cast<size_t>(scene.cache_bytes()));
  std::mt19937 random(static_cast<uint32_t>(seed));
  const size_t codes = static_cast<size_t>(h.block_tokens * h.dim), head = static_cast<size_t>(h.block_tokens * token_bytes(h.kv, h.dim));
  const float scale = 1.0f / 64;
  for (size_t at = 0; at < bytes.size(); at += 4) {
    const uint32_t word = random() & 0xbfbfbfbfu;  // no code of NaN
    memcpy(&bytes[at], at % head < codes ? static_cast<const void*>(&word) : &scale, 4);
  }
  return upload(bytes);
}

void attention_row(const std::string& name, const std::vector<AttentionSpan>& spans, int split, bool decode, bool verify,
                   KvKind kv = KvKind::kBf16) {
  conformance::Random random(1);
  AttentionShape h = {sized(32, 8), sized(8, 2)};
  h.kv = kv;
  const AttentionScene scene(h, shortened(spans), sized(split, 64), 1 << 20, false, random);
  const int64_t q_size = scene.query_size();
  const int copies = decode && !kShim ? static_cast<int>(std::min<int64_t>(16, kPastCaches / (scene.cache_bytes() * 2) + 1)) : 1;
  std::vector<void*> keys, values;
  for (int i = 0; i < copies; i++) {
    keys.push_back(random_cache(scene, 2 * i + 1));
    values.push_back(random_cache(scene, 2 * i + 2));
  }
  bf16 *q = random_bf16(q_size, 2, 99), *out = reserve<bf16>(q_size), *plain = reserve<bf16>(q_size);
  const AttentionArgs given = on_device(scene, q);
  auto run = [&](int i) {
    AttentionArgs args = given;
    args.out = out;
    args.k_cache = keys[static_cast<size_t>(i % copies)];
    args.v_cache = values[static_cast<size_t>(i % copies)];
    must(attention(args, scene.counts, stream()), "attention");
  };
  if (verify || kShim) {
    must(cudaMemset(out, 0xFF, static_cast<size_t>(q_size) * 2), "poison");
    must(cudaDeviceSynchronize(), "settle");
    run(0);
    AttentionArgs args = given;
    args.out = plain;
    args.k_cache = keys[0];
    args.v_cache = values[0];
    must(attention_plain(args, upload(scene.query_start), upload(scene.length), static_cast<int>(scene.spans.size()), scene.tokens, stream()), "plain");
    expect(name, distance(download(out, q_size), download(plain, q_size)), 6e-3);
  }
  const double us = time_us(std::max(copies, decode ? 8 : 2), 9, run);
  if (decode) {
    row_of_bytes(name, us, scene.kv_bytes());
  } else {
    row_of_flops(name, us, scene.flops(), text("%.0f %% of matmul", 100 * scene.flops() / us * 1e6 / ceilings.matmul));
  }
  for (int i = 0; i < copies; i++) {
    cudaFree(keys[static_cast<size_t>(i)]);
    cudaFree(values[static_cast<size_t>(i)]);
  }
  cudaFree(q);
  cudaFree(out);
  cudaFree(plain);
}

std::vector<AttentionSpan> decodes(int n, int length) { return std::vector<AttentionSpan>(static_cast<size_t>(n), {0, 1, length}); }

void attention_rows(bool full) {
  attention_row("decode 32 x 4k, splits of 512", decodes(32, 4096), 512, true, true);
  attention_row("decode 32 x 4k, splits of 1024", decodes(32, 4096), 1024, true, false);
  attention_row("decode 64 x 1k, splits of 512", decodes(64, 1024), 512, true, true);
  attention_row("decode 256 x 1k, splits of 512", decodes(256, 1024), 512, true, false);
  attention_row("decode 1 x 1k, splits of 256", decodes(1, 1024), 256, true, true);
  attention_row("decode 1 x 1k, splits of 128", decodes(1, 1024), 128, true, false);
  attention_row("decode 1 x 32k, splits of 512", decodes(1, 32768), 512, true, true);
  attention_row("decode 32 x 4k, int8", decodes(32, 4096), 512, true, true, KvKind::kInt8);
  attention_row("decode 32 x 4k, fp8", decodes(32, 4096), 512, true, true, KvKind::kFp8);
  attention_row("prefill of 2k, int8", {{0, 2048, 2048}}, 512, false, true, KvKind::kInt8);
  std::vector<AttentionSpan> skewed;
  for (int i = 0; i < 64; i++) skewed.push_back({0, 1, i % 8 == 0 ? 8192 - 37 * i : 300 + 11 * i});
  attention_row("decode 64, an eighth at 8k", skewed, 512, true, true);
  attention_row("prefill of 2k", {{0, 2048, 2048}}, 512, false, true);
  attention_row("prefill of 8k", {{0, 8192, 8192}}, 512, false, false);
  if (full) {
    attention_row("prefill of 16 x 512", std::vector<AttentionSpan>(16, {0, 512, 512}), 512, false, true);
    attention_row("chunk of 512 behind 7.5k", {{0, 512, 8192}}, 512, false, true);
  }
}

std::string shape_of(const char* type, int rows, int n, int k) {
  return std::string(type) + " " + std::to_string(rows) + " x " + std::to_string(n) + " x " + std::to_string(k);
}

void gemm_row(const CublasLt& lt, int rows, int n, int k) {
  const std::string name = shape_of("bf16", rows, n, k);
  rows = sized(rows, 70);
  n = sized(n, 256);
  k = sized(k, 320);
  const int64_t size = static_cast<int64_t>(n) * k;
  const int copies = rows > 256 ? 2 : static_cast<int>(std::min<int64_t>(16, kPastCaches / (size * 2) + 1));
  std::vector<const bf16*> weights;
  for (int i = 0; i < copies; i++) weights.push_back(random_bf16(size, 1, 7 + i));
  bf16* x = random_bf16(static_cast<int64_t>(rows) * k, 1, 3);
  bf16 *out = reserve<bf16>(static_cast<int64_t>(rows) * n), *reference = reserve<bf16>(static_cast<int64_t>(rows) * n);
  Linear linear(lt, rows, n, k);
  linear.own(x, weights[0], out, false);
  const int checked = std::min(rows, 24);
  const GemmArgs plain = {x, weights[0], reference, nullptr, checked, n, k, n, 0, 0, nullptr, nullptr, nullptr, 0};
  must(gemm_plain(plain, stream()), "plain");
  expect(name, distance(download(out, static_cast<int64_t>(checked) * n), download(reference, static_cast<int64_t>(checked) * n)), 5e-3);
  linear.tune(x, weights, out);
  const std::string share = !lt.present() ? "no cuBLASLt" : text("%.2f of cuBLASLt", linear.lt_us / linear.own_us) + text(" (%.1f us)", linear.lt_us);
  if (rows <= kSkinnyRows) {
    const double bytes = 2.0 * (size + static_cast<int64_t>(rows) * (n + k));
    row(name, linear.own_us, text("%.0f GB/s", bytes / linear.own_us / 1e3),
        text("%.0f %% of copy, ", 100 * bytes / linear.own_us * 1e6 / ceilings.copy) + share);
  } else {
    row_of_flops(name, linear.own_us, 2.0 * rows * size, share);
  }
  for (const bf16* w : weights) cudaFree(const_cast<bf16*>(w));
  cudaFree(x);
  cudaFree(out);
  cudaFree(reference);
}

/// Any bits are a valid tile, but the factors must be ordinary numbers: every half becomes 0x2cXX, about 0.07; with a scale a
/// row, the same one for all its groups.
std::vector<uint8_t> random_tiles(WeightFormat format, int n, int k, bool scale_a_row) {
  const int64_t bytes = static_cast<int64_t>(n / kTileRows) * (k / kTileColumns) * tile_bytes(format);
  const int factors = format == WeightFormat::kInt4 ? 512 : 1024;
  std::vector<uint8_t> packed(static_cast<size_t>(bytes));
  std::mt19937 random(5);
  for (int64_t i = 0; i < bytes; i += 4) {
    uint32_t word = random();
    const int64_t tile = i / tile_bytes(format), at = i % tile_bytes(format) - factors;
    const uint32_t row = static_cast<uint32_t>(tile / (k / kTileColumns) * kTileRows + at / 8 + at % 8 / 4 * 8);
    if (at >= 0) word = ((scale_a_row ? row * 37 % 256 * 0x00010001u : word) & 0x00ff00ffu) | 0x2c002c00u;
    else if (format == WeightFormat::kFloat8) word &= 0xbfbfbfbfu;  // no code of NaN
    memcpy(&packed[static_cast<size_t>(i)], &word, 4);
  }
  return packed;
}

void quant_row(CublasLt& lt, WeightFormat format, int rows, int n, int k, bool float8 = false) {
  const char* type = format == WeightFormat::kInt4 ? "int4" : format == WeightFormat::kInt8 ? "int8" : "float8";
  const std::string name = shape_of(type, rows, n, k) + (float8 ? ", x in 8 bits" : "");
  rows = sized(rows, 140);
  n = sized(n, 256);
  k = sized(k, 320);
  const std::vector<uint8_t> packed = random_tiles(format, n, k, float8);
  const int64_t bytes = static_cast<int64_t>(packed.size());
  const int copies = static_cast<int>(std::min<int64_t>(16, kPastCaches / bytes + 1));
  std::vector<uint8_t*> weights;
  for (int i = 0; i < copies; i++) weights.push_back(upload(packed));
  bf16 *x = random_bf16(static_cast<int64_t>(rows) * k, 1, 3), *dense = reserve<bf16>(static_cast<int64_t>(n) * k);
  bf16 *out = reserve<bf16>(static_cast<int64_t>(rows) * n), *reference = reserve<bf16>(static_cast<int64_t>(rows) * n);
  const ProductWorkspace needed = product_workspace(format, rows, n, k);
  float* slices = reserve<float>(std::max<int64_t>(1, needed.slices));
  uint8_t *piece = reserve<uint8_t>(std::max<int64_t>(1, needed.dense)), *codes = reserve<uint8_t>(std::max<int64_t>(1, needed.codes));
  auto run = [&](int i) {
    const GemmArgs args = {x, weights[static_cast<size_t>(i % copies)], out, nullptr, rows, n, k, n, 0, 0, slices, piece, codes, float8};
    must(product(lt, format, args, stream()), "product of quantised weights");
  };
  run(0);
  must(dequantise(format, weights[0], dense, n, k, stream()), "dequantise");
  const int checked = std::min(rows, 24);
  must(gemm_plain({x, dense, reference, nullptr, checked, n, k, n, 0, 0, nullptr}, stream()), "plain");
  expect(name, distance(download(out, static_cast<int64_t>(checked) * n), download(reference, static_cast<int64_t>(checked) * n)), float8 ? 4e-2 : 8e-3);
  const double us = time_us(std::max(copies, 8), 9, run);
  Linear linear(lt, rows, n, k);
  std::vector<const bf16*> rotated;
  for (int i = 0; i < 4; i++) rotated.push_back(random_bf16(static_cast<int64_t>(n) * k, 1, 7 + i));
  linear.tune(x, rotated, out);
  const double moved = static_cast<double>(bytes) + 2.0 * rows * (n + k);
  row(name, us, text("%.0f GB/s", moved / us / 1e3),
      text("%.0f %% of copy, ", 100 * moved / us * 1e6 / ceilings.copy) +
          (!lt.present() ? "no cuBLASLt" : text("%.2f x cuBLASLt bf16", linear.lt_us / us) + text(" (%.1f us)", linear.lt_us)));
  for (uint8_t* w : weights) cudaFree(w);
  for (const bf16* w : rotated) cudaFree(const_cast<bf16*>(w));
  for (void* p : {static_cast<void*>(x), static_cast<void*>(dense), static_cast<void*>(out), static_cast<void*>(reference), static_cast<void*>(slices), static_cast<void*>(piece), static_cast<void*>(codes)}) cudaFree(p);
}

void gemm_rows(CublasLt& lt, bool full) {
  gemm_row(lt, 1, 4096, 4096);
  gemm_row(lt, 1, 28672, 4096);
  gemm_row(lt, 1, 4096, 14336);
  gemm_row(lt, 8, 28672, 4096);
  gemm_row(lt, 16, 28672, 4096);
  gemm_row(lt, 64, 28672, 4096);
  gemm_row(lt, 2048, 4096, 4096);
  gemm_row(lt, 2048, 28672, 4096);
  if (full) gemm_row(lt, 8192, 8192, 8192);
  quant_row(lt, WeightFormat::kInt4, 1, 4096, 4096);
  quant_row(lt, WeightFormat::kInt4, 1, 28672, 4096);
  quant_row(lt, WeightFormat::kInt4, 1, 4096, 14336);
  quant_row(lt, WeightFormat::kInt4, 8, 28672, 4096);
  quant_row(lt, WeightFormat::kInt4, 16, 28672, 4096);
  quant_row(lt, WeightFormat::kInt8, 1, 28672, 4096);
  quant_row(lt, WeightFormat::kFloat8, 1, 28672, 4096);
  quant_row(lt, WeightFormat::kFloat8, 64, 28672, 4096);
  quant_row(lt, WeightFormat::kInt4, 64, 28672, 4096);
  quant_row(lt, WeightFormat::kInt4, 32, 4096, 4096);
  quant_row(lt, WeightFormat::kInt4, 256, 28672, 4096);
  quant_row(lt, WeightFormat::kInt4, 2048, 28672, 4096);
  quant_row(lt, WeightFormat::kFloat8, 2048, 28672, 4096);
  quant_row(lt, WeightFormat::kFloat8, 256, 28672, 4096, true);
  quant_row(lt, WeightFormat::kFloat8, 2048, 28672, 4096, true);
}

struct MixtureShape {
  const char* name;
  int cols, inner, experts, chosen;
};

/// One matrix of all experts, for gate, up and down alike: more than the caches hold.
uint8_t* expert_weights(WeightFormat format, const MixtureShape& m) {
  const int64_t n = static_cast<int64_t>(m.experts) * m.inner;
  if (format == WeightFormat::kBf16) return reinterpret_cast<uint8_t*>(random_bf16(n * m.cols, 0.03f, 4));
  const std::vector<uint8_t> one = random_tiles(format, m.inner, m.cols, false);
  uint8_t* all = reserve<uint8_t>(static_cast<int64_t>(one.size()) * m.experts);
  for (int e = 0; e < m.experts; e++) must(cudaMemcpy(all + static_cast<int64_t>(e) * static_cast<int64_t>(one.size()), one.data(), one.size(), cudaMemcpyHostToDevice), "upload");
  return all;
}

/// Checked against the same rows in a batch of eight, which runs on other kernels.
void mixture_row(WeightFormat format, MixtureShape m, int rows) {
  const std::string name = std::string(m.name) + (format == WeightFormat::kBf16 ? ", bf16, " : ", int4, ") + std::to_string(rows) + (rows == 1 ? " token" : " tokens");
  m = {m.name, sized(m.cols, 128), sized(m.inner, 64), sized(m.experts, 3), sized(m.chosen, 2)};
  rows = sized(rows, 130);
  const int most = std::max(rows, 8), checked = std::min(rows, 8);
  uint8_t* weights = expert_weights(format, m);
  const int64_t bytes = format == WeightFormat::kBf16 ? int64_t{2} * m.inner * m.cols : static_cast<int64_t>(m.inner / kTileRows) * (m.cols / kTileColumns) * tile_bytes(format);
  const ExpertWeights w = {weights, format, bytes};
  bf16 *x = random_bf16(static_cast<int64_t>(most) * m.cols, 1, 3), *sum = reserve<bf16>(static_cast<int64_t>(most) * m.cols);
  std::vector<float> logits(static_cast<size_t>(most) * static_cast<size_t>(m.experts));
  std::mt19937 random(6);
  for (float& logit : logits) logit = static_cast<float>(random() % 4096) / 1024;
  float* d_logits = upload(logits);
  ExpertsArgs args = {sum, x, d_logits, w, w, w, most, m.cols, m.inner, m.experts, m.chosen, 1, 0, 1};
  uint8_t* workspace = reserve<uint8_t>(experts_workspace(args));
  auto run = [&](int count) {
    args.rows = count;
    must(experts(args, workspace, stream()), "experts");
  };
  auto from_zero = [&](int count) {
    must(cudaMemset(sum, 0, static_cast<size_t>(most) * static_cast<size_t>(m.cols) * sizeof(bf16)), "zeros");
    run(count);
    return download(sum, static_cast<int64_t>(checked) * m.cols);
  };
  expect(name, distance(from_zero(rows), from_zero(8)), 8e-3);
  const double us = time_us(4, 7, [&](int) { run(rows); });
  const double pairs = static_cast<double>(rows) * m.chosen, read = 3.0 * static_cast<double>(bytes) * std::min<double>(m.experts, pairs);
  row(name, us, text("%.0f GB/s", read / us / 1e3),
      rows < 256 ? text("%.0f %% of copy", 100 * read / us * 1e6 / ceilings.copy)
                 : text("%.0f TFLOP/s", 6.0 * pairs * m.cols * m.inner / us / 1e6));
  for (void* p : {static_cast<void*>(weights), static_cast<void*>(x), static_cast<void*>(sum), static_cast<void*>(d_logits), static_cast<void*>(workspace)}) cudaFree(p);
}

void mixture_rows() {
  const MixtureShape mixtral = {"experts of Mixtral 8x7B", 4096, 14336, 8, 2}, qwen = {"experts of Qwen3 30B A3B", 2048, 768, 128, 8};
  for (int rows : {1, 64, 2048}) mixture_row(WeightFormat::kBf16, mixtral, rows);
  for (int rows : {1, 64, 2048}) mixture_row(WeightFormat::kInt4, mixtral, rows);
  for (int rows : {1, 64, 2048}) mixture_row(WeightFormat::kBf16, qwen, rows);
}

void elementwise_rows(bool full) {
  const AttentionShape h;
  for (int all : {64, 2048}) {
    if (all == 64 && !full) continue;
    const std::string suffix = " of " + std::to_string(all) + " tokens";
    const int tokens = sized(all, 3), cols = sized(4096, 512), inner = sized(14336, 512), qkv_cols = (h.heads + 2 * h.kv_heads) * h.dim;
    const int copies = kShim ? 1 : all == 64 ? 64 : 8;
    bf16* x = random_bf16(static_cast<int64_t>(copies) * tokens * cols, 1, 1);
    bf16* y = reserve<bf16>(static_cast<int64_t>(copies) * tokens * cols);
    float* weight = upload(std::vector<float>(static_cast<size_t>(cols), 1));
    auto at = [&](bf16* base, int i, int width) { return base + static_cast<int64_t>(i % copies) * tokens * width; };
    row_of_bytes("norm" + suffix, time_us(copies, 9, [&](int i) {
                   must(rms_norm({at(x, i, cols), nullptr, weight, at(y, i, cols), tokens, cols, 1e-5f}, stream()), "norm");
                 }),
                 4.0 * tokens * cols);
    row_of_bytes("residual and norm" + suffix, time_us(copies, 9, [&](int i) {
                   must(rms_norm({at(x, i, cols), at(y, i + 1, cols), weight, at(y, i, cols), tokens, cols, 1e-5f}, stream()), "norm");
                 }),
                 8.0 * tokens * cols);
    bf16* gate_up = random_bf16(static_cast<int64_t>(copies) * tokens * 2 * inner, 1, 3);
    bf16* act = reserve<bf16>(static_cast<int64_t>(copies) * tokens * inner);
    row_of_bytes("silu gate" + suffix, time_us(copies, 9, [&](int i) {
                   must(gated({at(gate_up, i, 2 * inner), at(act, i, inner), tokens, inner, 0}, stream()), "gated");
                 }),
                 6.0 * tokens * inner);
    bf16* qkv = random_bf16(static_cast<int64_t>(copies) * tokens * qkv_cols, 1, 4);
    bf16* q = reserve<bf16>(static_cast<int64_t>(copies) * tokens * h.heads * h.dim);
    const int64_t cache = static_cast<int64_t>(ceil_div(tokens, h.block_tokens)) * h.block_tokens * h.kv_heads * h.dim;
    bf16 *k = reserve<bf16>(cache), *v = reserve<bf16>(cache);
    std::vector<int32_t> position, slot;
    for (int t = 0; t < tokens; t++) {
      position.push_back(t);
      slot.push_back(t);
    }
    float* cos_sin = upload(std::vector<float>(static_cast<size_t>(tokens * h.dim), 0.7f));
    int32_t *d_position = upload(position), *d_slot = upload(slot);
    row_of_bytes("rope and cache" + suffix, time_us(copies, 9, [&](int i) {
                   must(rope_kv({at(qkv, i, qkv_cols), at(q, i, h.heads * h.dim), nullptr, nullptr, cos_sin, k, v, d_position, d_slot, tokens,
                                 h.heads, h.kv_heads, h.dim, h.dim, 4, 0, 1e-5f, KvKind::kBf16},
                                stream()),
                        "rope");
                 }),
                 4.0 * tokens * qkv_cols);
    for (void* p : {static_cast<void*>(x), static_cast<void*>(y), static_cast<void*>(gate_up), static_cast<void*>(act), static_cast<void*>(qkv), static_cast<void*>(q)}) cudaFree(p);
  }
}

/// Samples of one kind, a row each, beside the bytes of the logits read once; the shim takes few of the rows.
void sample_row(const std::string& kind_name, const float* logits, int wanted, int vocab, const QrSampleRow& kind, const std::vector<SampleEntry>& entries) {
  const std::string name = kind_name + " of " + std::to_string(wanted) + " rows";
  const int rows = sized(wanted, std::min(wanted, 3));
  const SampleArgs args = samples_of(logits, rows, vocab, kind, entries);
  row_of_bytes(name, time_us(8, 9, [&](int) { must(sample(args, stream()), "sample"); }), 4.0 * rows * vocab);
  std::vector<int32_t> tokens(static_cast<size_t>(rows));
  must(cudaMemcpy(tokens.data(), args.token, tokens.size() * 4, cudaMemcpyDeviceToHost), "download");
  for (int32_t token : tokens) expect(name, token >= 0 && token < vocab ? 0 : 1, 0);
  const void* used[] = {args.samples, args.entries, args.token, args.logprob, args.top_token, args.top_logprob, args.choices, args.adjusted};
  for (const void* p : used) cudaFree(const_cast<void*>(p));
}

void sample_rows() {
  const int vocab = sized(128256, 16400);
  std::vector<SampleEntry> counts;
  for (int i = 0; i < sized(1000, 20); i++) counts.push_back({i * 16, static_cast<uint32_t>(i % 3)});
  for (int rows : {1, 64, 256}) {
    float* logits = reserve<float>(static_cast<int64_t>(rows) * vocab);
    fill(reinterpret_cast<bf16*>(logits), static_cast<int64_t>(rows) * vocab * 2, 3, 1);
    QrSampleRow kind = plain_sample();
    sample_row("greedy", logits, rows, vocab, kind, {{0, 0}});
    kind.temperature = 0.8f;
    sample_row("draw from all", logits, rows, vocab, kind, {{0, 0}});
    kind.top_p = 0.9f;
    sample_row("draw with top_p 0.9", logits, rows, vocab, kind, {{0, 0}});
    kind.top_k = 50;
    sample_row("draw with top_k 50, top_p 0.9", logits, rows, vocab, kind, {{0, 0}});
    kind.repetition = 1.1f;
    kind.count_end = static_cast<int32_t>(counts.size());
    sample_row("draw with 1000 penalties, top_k, top_p", logits, rows, vocab, kind, counts);
    kind = plain_sample();
    kind.logprobs = 20;
    sample_row("greedy with 20 log-probabilities", logits, rows, vocab, kind, {{0, 0}});
    cudaFree(logits);
  }
}

__global__ void empty_kernel(int) { start_after_previous(); }

/// What lies between two kernels of a graph where neither has work.
void boundary_row() {
  ceilings.boundary_us = time_us(256, 9, [&](int i) { LAUNCH(empty_kernel, sized(132, 2), 128, 0, stream(), i); });
  row("kernel without work", ceilings.boundary_us, "", "ceiling");
}

/// Every thread has four loads of 16 bytes in flight. count is a multiple of 4 * the threads of the grid.
__global__ void copy_kernel(const uint4* from, uint4* to, int64_t count) {
  start_after_previous();
  const int64_t threads = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += 4 * threads) {
    uint4 values[4];
#pragma unroll
    for (int j = 0; j < 4; j++) values[j] = from[i + j * threads];
#pragma unroll
    for (int j = 0; j < 4; j++) to[i + j * threads] = values[j];
  }
}

}  // namespace

void measure_ceilings(const CublasLt& lt) {
  const int blocks = kFillBlocks;
  const int64_t bytes = kShim ? int64_t{blocks} * 256 * 64 : int64_t{4} << 30;
  uint8_t *from = reserve<uint8_t>(bytes), *to = reserve<uint8_t>(bytes);
  fill(reinterpret_cast<bf16*>(from), bytes / 2, 1, 1);
  const double us = time_us(1, 9, [&](int) {
    LAUNCH(copy_kernel, blocks, 256, 0, stream(), reinterpret_cast<const uint4*>(from), reinterpret_cast<uint4*>(to), bytes / 16);
  });
  must(launched(), "copy");
  ceilings.copy = 2.0 * static_cast<double>(bytes) / us * 1e6;
  row("copy of 4 GiB", us, text("%.0f GB/s", ceilings.copy / 1e9), "ceiling");
  cudaFree(from);
  cudaFree(to);
  boundary_row();
  if (!lt.present()) return;
  const int n = 8192;
  const bf16 *x = random_bf16(int64_t{n} * n, 1, 1), *w = random_bf16(int64_t{n} * n, 1, 2);
  bf16* out = reserve<bf16>(int64_t{n} * n);
  const CublasLt::Product product = lt.plan({n, n, n, n, false});
  double best = 1e30;
  for (int a = 0; a < static_cast<int>(product.algorithms.size()) && a < 3; a++) {
    best = std::min(best, time_us(2, 5, [&](int) { lt.run(product, a, x, w, out, false, stream()); }));
  }
  ceilings.matmul = 2.0 * n * n * n / best * 1e6;
  row("cuBLASLt 8192^3", best, text("%.0f TFLOP/s", ceilings.matmul / 1e12), "ceiling");
  cudaFree(const_cast<bf16*>(x));
  cudaFree(const_cast<bf16*>(w));
  cudaFree(out);
}

void kernel_table(CublasLt& lt, bool full) {
  attention_rows(full);
  gemm_rows(lt, full);
  mixture_rows();
  elementwise_rows(full);
  sample_rows();
}

}  // namespace quire::bench
