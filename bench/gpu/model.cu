// A whole step of a model of Llama-3-8B's shape: 32 layers with random bf16 weights, as one CUDA graph. What is left
// out: the host's scheduling, and the network.
#include <string.h>

#include "bench.h"
#include "linear.h"
#include "rows.h"
#include "sample.h"

namespace quire::bench {
namespace {

using namespace quire::cuda;
using cuda_cases::AttentionScene;
using cuda_cases::AttentionShape;

constexpr AttentionShape kHeads = {sized(32, 4), sized(8, 1), sized(128, 64)};
constexpr int kLayers = sized(32, 2), kHidden = kHeads.heads * kHeads.dim, kInner = sized(14336, 512), kVocab = sized(128256, 1024), kPositions = 4096;
constexpr int kQkv = (kHeads.heads + 2 * kHeads.kv_heads) * kHeads.dim;

struct Layer {
  const bf16 *qkv, *o, *gate_up, *down;
  const float* norm;
};

struct Weights {
  std::vector<Layer> layers;
  const bf16* table = random_bf16(int64_t{kVocab} * kHidden, 1, 1);
  const bf16* head = random_bf16(int64_t{kVocab} * kHidden, 0.03f, 2);
  const float* cos_sin = upload(std::vector<float>(size_t{kPositions} * kHeads.dim, 0.7f));

  Weights() {
    for (uint32_t l = 0; l < kLayers; l++) {
      layers.push_back({random_bf16(int64_t{kQkv} * kHidden, 0.03f, 10 * l + 3), random_bf16(int64_t{kHidden} * kHidden, 0.03f, 10 * l + 4),
                        random_bf16(int64_t{2} * kInner * kHidden, 0.03f, 10 * l + 5), random_bf16(int64_t{kHidden} * kInner, 0.03f, 10 * l + 6),
                        upload(std::vector<float>(kHidden, 1))});
    }
  }
  std::vector<const bf16*> each(const bf16* Layer::*part) const {
    std::vector<const bf16*> all;
    for (int l = 0; l < sized(6, kLayers); l++) all.push_back(layers[static_cast<size_t>(l)].*part);
    return all;
  }
};

/// Shares of the time in which the GPU has no work: between steps, and at most also between a step's kernels.
struct Idle {
  double between = 0, most = 0;
};
struct StepTime {
  double us, alone_us;  // one behind the other, and on a device that was idle
  Idle idle;
};

/// Decode as the server does it: each step is sent while the one before runs, whose tokens the host then waits for. By events
/// around every replay; within a step, a boundary for each of its kernels, which overlapping launches hide in part.
Idle idle_of(const Replay& step, int32_t* tokens, int rows) {
#ifdef QR_SHIM
  (void)step, (void)tokens, (void)rows;
  return {};
#else
  constexpr size_t kSteps = 64, kStepBytes = 160 << 10;  // a step buffer of 256 sequences by 128 blocks
  void *staging[2] = {}, *read[2] = {};
  for (int i = 0; i < 2; i++) {
    must(cudaMallocHost(&staging[i], kStepBytes), "staging");
    must(cudaMallocHost(&read[i], static_cast<size_t>(rows) * 4), "tokens");
  }
  uint8_t* buffer = reserve<uint8_t>(kStepBytes);
  std::vector<cudaEvent_t> begin(kSteps), end(kSteps), done(kSteps);
  for (std::vector<cudaEvent_t>* events : {&begin, &end, &done}) {
    for (cudaEvent_t& event : *events) cudaEventCreate(&event);
  }
  for (size_t i = 0; i < kSteps; i++) {
    memset(staging[i % 2], static_cast<int>(i), kStepBytes);
    must(cudaMemcpyAsync(buffer, staging[i % 2], kStepBytes, cudaMemcpyHostToDevice, stream()), "step buffer");
    cudaEventRecord(begin[i], stream());
    step.launch();
    cudaEventRecord(end[i], stream());
    must(cudaMemcpyAsync(read[i % 2], tokens, static_cast<size_t>(rows) * 4, cudaMemcpyDeviceToHost, stream()), "tokens");
    cudaEventRecord(done[i], stream());
    if (i > 0) must(cudaEventSynchronize(done[i - 1]), "step");
  }
  must(cudaStreamSynchronize(stream()), "last step");
  float all = 0, busy = 0, ms = 0;
  cudaEventElapsedTime(&all, begin.front(), begin.back());
  for (size_t i = 0; i + 1 < kSteps; i++) {
    cudaEventElapsedTime(&ms, begin[i], end[i]);
    busy += ms;
  }
  for (std::vector<cudaEvent_t>* events : {&begin, &end, &done}) {
    for (cudaEvent_t event : *events) cudaEventDestroy(event);
  }
  for (int i = 0; i < 2; i++) {
    cudaFreeHost(staging[i]);
    cudaFreeHost(read[i]);
  }
  cudaFree(buffer);
  const double boundaries = static_cast<double>(kSteps - 1) * step.kernels() * ceilings.boundary_us / 1e3;
  return {1 - busy / all, 1 - (busy - boundaries) / all};
#endif
}

StepTime step_time(const CublasLt& lt, const Weights& w, const std::vector<AttentionSpan>& spans, int split) {
  conformance::Random random(1);
  const AttentionScene scene(kHeads, spans, sized(split, 64), 1 << 20, false, random);
  const int tokens = scene.tokens, rows = static_cast<int>(spans.size());
  const int64_t layer_cache = scene.cache_size();
  bf16 *keys = random_bf16(kLayers * layer_cache, 1, 5), *values = random_bf16(kLayers * layer_cache, 1, 6);
  std::vector<int32_t> slot, token, last;
  for (size_t s = 0; s < spans.size(); s++) {
    for (int i = 0; i < spans[s].queries; i++) {
      const int p = spans[s].length - spans[s].queries + i;
      slot.push_back(scene.slot(s, p));
      token.push_back(static_cast<int32_t>((s * 977 + static_cast<size_t>(p) * 31) % kVocab));
    }
    last.push_back(static_cast<int32_t>(slot.size()) - 1);
  }
  const int32_t *d_slot = upload(slot), *d_position = upload(scene.position), *d_token = upload(token), *d_last = upload(last);
  bf16 *x = reserve<bf16>(int64_t{tokens} * kHidden), *y = reserve<bf16>(int64_t{tokens} * kHidden);
  bf16 *qkv = random_bf16(int64_t{tokens} * kQkv, 1, 9), *q = reserve<bf16>(int64_t{tokens} * kHidden);
  bf16 *gate_up = reserve<bf16>(int64_t{tokens} * 2 * kInner), *act = random_bf16(int64_t{tokens} * kInner, 1, 8);
  float* logits = reserve<float>(int64_t{rows} * kVocab);
  const SampleArgs sampling = samples_of(logits, rows, kVocab, plain_sample(), {{0, 0}});
  int32_t* out = sampling.token;
  fill(y, int64_t{tokens} * kHidden, 1, 4);
  const AttentionArgs given = on_device(scene, q);

  Linear to_qkv(lt, tokens, kQkv, kHidden), to_o(lt, tokens, kHidden, kHidden), to_gate_up(lt, tokens, 2 * kInner, kHidden),
      to_down(lt, tokens, kHidden, kInner), to_logits(lt, rows, kVocab, kHidden, true);
  to_qkv.tune(y, w.each(&Layer::qkv), qkv);
  to_o.tune(y, w.each(&Layer::o), x, true);
  to_gate_up.tune(y, w.each(&Layer::gate_up), gate_up);
  to_down.tune(act, w.each(&Layer::down), x, true);
  to_logits.tune(y, {w.head}, logits);
  // The last layer goes on with the rows alone whose logits are wanted.
  Linear last_o(lt, rows, kHidden, kHidden), last_gate_up(lt, rows, 2 * kInner, kHidden), last_down(lt, rows, kHidden, kInner);
  last_o.tune(y, w.each(&Layer::o), x, true);
  last_gate_up.tune(y, w.each(&Layer::gate_up), gate_up);
  last_down.tune(act, w.each(&Layer::down), x, true);

  // From the attention's output on: residual and attended [n, hidden].
  auto rest = [&](const Layer& layer, const Linear& o, const Linear& up, const Linear& down, bf16* residual, const bf16* attended, int n) {
    o.run(attended, layer.o, residual, true);
    must(rms_norm({residual, nullptr, layer.norm, y, n, kHidden, 1e-5f}, stream()), "norm");
    up.run(y, layer.gate_up, gate_up, false);
    must(gated({gate_up, act, n, kInner, 0}, stream()), "gated");
    down.run(act, layer.down, residual, true);
  };
  auto run = [&](int) {
    must(embed({w.table, WeightFormat::kBf16, x, d_token, tokens, kHidden, 1}, stream()), "embed");
    for (int l = 0; l < kLayers; l++) {
      const Layer& layer = w.layers[static_cast<size_t>(l)];
      AttentionArgs args = given;
      args.out = y;
      args.k_cache = keys + l * layer_cache;
      args.v_cache = values + l * layer_cache;
      must(rms_norm({x, nullptr, layer.norm, y, tokens, kHidden, 1e-5f}, stream()), "norm");
      to_qkv.run(y, layer.qkv, qkv, false);
      must(rope_kv({qkv, q, nullptr, nullptr, w.cos_sin, keys + l * layer_cache, values + l * layer_cache, d_position, d_slot, tokens,
                    kHeads.heads, kHeads.kv_heads, kHeads.dim, kHeads.dim, 4, 0, 1e-5f},
                   stream()),
           "rope");
      must(attention(args, scene.counts, stream()), "attention");
      if (l + 1 < kLayers) rest(layer, to_o, to_gate_up, to_down, x, y, tokens);
    }
    must(gather_rows(x, d_last, q, rows, kHidden, stream()), "gather");
    must(gather_rows(y, d_last, qkv, rows, kHidden, stream()), "gather");
    rest(w.layers.back(), last_o, last_gate_up, last_down, q, qkv, rows);
    must(rms_norm({q, nullptr, w.layers[0].norm, y, rows, kHidden, 1e-5f}, stream()), "norm");
    to_logits.run(y, w.head, logits, false);
    must(sample(sampling, stream()), "sample");
  };
  const Replay step(1, run);
  constexpr unsigned kPause = 100000;
  const StepTime time = {step.time_us(9), tokens > rows ? step.time_us(5, kPause) : 0, idle_of(step, out, rows)};
  if (!kShim) {
    printf("  products, us (cuBLASLt's first | best | own):");
    const std::pair<const char*, const Linear*> products[] = {
        {"qkv", &to_qkv}, {"o", &to_o}, {"gate_up", &to_gate_up}, {"down", &to_down}, {"head", &to_logits}};
    for (const auto& [name, product] : products) printf(" %s %.1f | %.1f | %.1f", name, product->first_us, product->lt_us, product->own_us);
    printf("\n");
  }
  std::vector<int32_t> tokens_out(static_cast<size_t>(rows));
  must(cudaMemcpy(tokens_out.data(), out, tokens_out.size() * 4, cudaMemcpyDeviceToHost), "download");
  int refused = 0;
  for (int32_t t : tokens_out) refused += t < 0 || t >= kVocab;
  if (refused > 0) {
    printf("WRONG: %d of %d rows gave no token\n", refused, rows);
    wrong++;
  }
  for (void* p : {static_cast<void*>(keys), static_cast<void*>(values), static_cast<void*>(x), static_cast<void*>(y), static_cast<void*>(qkv),
                  static_cast<void*>(q), static_cast<void*>(gate_up), static_cast<void*>(act), static_cast<void*>(logits)}) {
    cudaFree(p);
  }
  return time;
}

}  // namespace

void model_table(const CublasLt& lt) {
  const Weights weights;
  const struct {
    int batch, split;
  } cases[] = {{1, 128}, {64, 512}, {256, 512}};
  const double weight_bytes = 2.0 * (kLayers * (static_cast<double>(kHidden) * (kQkv + kHidden + 3.0 * kInner)) + static_cast<double>(kVocab) * kHidden);
  for (const auto& c : cases) {
    const StepTime step = step_time(lt, weights, std::vector<AttentionSpan>(static_cast<size_t>(sized(c.batch, 3)), {0, 1, sized(1024, 40)}), c.split);
    const double bytes = weight_bytes + 4.0 * c.batch * 1024 * kHeads.kv_heads * kHeads.dim * kLayers;
    const std::string batch = "batch " + std::to_string(c.batch) + " at 1k";
    row("8B decode step, " + batch, step.us, text("%.0f tok/s", c.batch / step.us * 1e6), text("%.0f %% of copy", 100 * bytes / step.us * 1e6 / ceilings.copy));
    if (c.batch > 1) row("GPU idle in 8B decode, " + batch, step.us * step.idle.between, text("%.2f %% between steps", 100 * step.idle.between), text("%.1f %% at most", 100 * step.idle.most));
  }
  const int prompt = sized(2048, 40);
  const StepTime prefill = step_time(lt, weights, {{0, prompt, prompt}}, 512);
  const double flops = 2.0 * prompt * (weight_bytes / 2 - static_cast<double>(kVocab) * kHidden);
  auto rate = [&](double us) { return text("%.0f %% of matmul", 100 * flops / us * 1e6 / ceilings.matmul); };
  row("8B prefill of 2k", prefill.us, text("TTFT %.1f ms", prefill.us / 1e3), rate(prefill.us));
  row("8B prefill of 2k, alone", prefill.alone_us, text("TTFT %.1f ms", prefill.alone_us / 1e3), rate(prefill.alone_us));
}

}  // namespace quire::bench
