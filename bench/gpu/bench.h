#ifndef QUIRE_BENCH_BENCH_H
#define QUIRE_BENCH_BENCH_H

#include "attention_scene.h"
#include "cublaslt.h"
#include "timing.h"

namespace quire::bench {

using cuda::CublasLt;

/// The scene's arguments with its lists on the device, but for out and the caches.
inline cuda::AttentionArgs on_device(const cuda_cases::AttentionScene& scene, const cuda::bf16* q) {
  cuda::AttentionArgs args = scene.args([](const auto& values) { return upload(values); });
  args.q = q;
  args.partial_out = reserve<float>(scene.partial_size() + 1);
  args.partial_stats = reserve<float2>(int64_t{scene.plan.slots} * scene.shape.heads + 1);
  return args;
}

void measure_ceilings(const CublasLt& lt);
void kernel_table(const CublasLt& lt, bool full);
/// Steps of a model of Llama-3-8B's shape with random weights, driven from here as graphs.
void model_table(const CublasLt& lt);

}  // namespace quire::bench

#endif
