#ifndef QUIRE_BENCH_BENCH_H
#define QUIRE_BENCH_BENCH_H

#include "attention_scene.h"
#include "cublaslt.h"
#include "sample.h"
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

/// A sample of each row of logits [rows, vocab], all of one kind, with their results and workspace on the device.
inline cuda::SampleArgs samples_of(const float* logits, int rows, int vocab, const QrSampleRow& kind, const std::vector<cuda::SampleEntry>& entries) {
  std::vector<QrSampleRow> samples(static_cast<size_t>(rows), kind);
  for (int r = 0; r < rows; r++) {
    samples[static_cast<size_t>(r)].row = r;
    samples[static_cast<size_t>(r)].position = static_cast<uint32_t>(r);
  }
  const cuda::SampleWorkspace work = cuda::sample_workspace(rows, vocab, rows);
  return {logits, upload(samples), upload(entries), reserve<int32_t>(rows), reserve<float>(rows), reserve<int32_t>(rows * QR_MAX_LOGPROBS),
          reserve<float>(rows * QR_MAX_LOGPROBS), reserve<uint64_t>(work.choices), reserve<float>(work.adjusted), rows, vocab, vocab, rows,
          cuda::sample_kinds(kind)};
}
/// The largest logit, nothing else asked.
inline QrSampleRow plain_sample() {
  QrSampleRow row = {};
  row.target = row.logprobs = -1;
  row.top_p = row.repetition = 1;
  return row;
}

void measure_ceilings(const CublasLt& lt);
void kernel_table(CublasLt& lt, bool full);
/// Steps of a model of Llama-3-8B's shape with random weights, driven from here as graphs.
void model_table(const CublasLt& lt);

}  // namespace quire::bench

#endif
