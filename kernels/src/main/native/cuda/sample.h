// The samples of a step: QR_OP_SAMPLE without a sort, all on the device.
#ifndef QUIRE_CUDA_SAMPLE_H
#define QUIRE_CUDA_SAMPLE_H

#include "../include/quire.h"
#include "device.cuh"

namespace quire::cuda {

/// Sums of weights are whole numbers of 64 bits, which holds for as many tokens.
constexpr int kMostVocab = 1 << 21;

/// What some sample of a step asks beyond the largest logit; launches that nobody needs are left out.
enum SampleKinds : int32_t { kSampleAdjusted = 1, kSampleDrawn = 2, kSampleScored = 4 };
int32_t sample_kinds(const QrSampleRow& row);

/// A bias as a float's bits, or how often a counted token is in the output.
struct SampleEntry {
  int32_t token;
  uint32_t value;
};

/// As QR_OP_SAMPLE. What it keeps beside its results is sample_workspace(...) in size.
struct SampleArgs {
  const float* logits;         // [rows, stride], not changed
  const QrSampleRow* samples;  // [n], their ranges into entries
  const SampleEntry* entries;
  int32_t* token;              // [n]
  float* logprob;              // [n]
  int32_t* top_token;          // [n, QR_MAX_LOGPROBS], written as far as a sample asks
  float* top_logprob;
  uint64_t* choices;           // the best of each piece of each row, then of each sample
  float* adjusted;             // logits after biases and penalties, of the samples that are drawn together
  int32_t rows, vocab, stride, n, kinds;
};
cudaError_t sample(const SampleArgs& args, cudaStream_t stream);

struct SampleWorkspace {
  int64_t choices, adjusted;  // elements
};
SampleWorkspace sample_workspace(int rows, int vocab, int n);

// The launches of sample(), in their order.
constexpr int kSamplePiece = 8192;
/// Samples drawn together where logits are adjusted: about a multiprocessor each, and a bound on the copies.
constexpr int kSampleWave = 128;
void launch_choose(const SampleArgs& args, cudaStream_t stream);
void launch_adjust(const SampleArgs& args, int first, int n, cudaStream_t stream);
void launch_draw(const SampleArgs& args, int first, int n, cudaStream_t stream);
void launch_score(const SampleArgs& args, cudaStream_t stream);

}  // namespace quire::cuda

#endif
