// Biases and penalties, on copies of the logits: a block has a piece of a sample's row in shared memory and takes of the
// sample's entries what lies there.
#include "sample_row.cuh"

namespace quire::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpSize;

struct Shared {
  float piece[kSamplePiece];
  uint64_t best_of_warp[kWarps];
};

/// Each step rounded, as on the CPU.
__device__ __forceinline__ float penalised(float logit, const QrSampleRow& row, int32_t in_output) {
  logit = logit > 0 ? logit / row.repetition : __fmul_rn(logit, row.repetition);
  if (in_output <= 0) return logit;
  return logit - row.presence - __fmul_rn(row.frequency, static_cast<float>(in_output));
}

__global__ void adjust_kernel(SampleArgs a, int first) {
  start_after_previous();
  DYN_SMEM(Shared, shared);
  const QrSampleRow& row = a.samples[first + blockIdx.y];
  if (!adjusted(row)) return;
  const int from = blockIdx.x * kSamplePiece, to = min(a.vocab, from + kSamplePiece);
  for_row(a.logits + static_cast<int64_t>(row.row) * a.stride, from, to, threadIdx.x, kThreads,
          [&](int i, float logit) { shared->piece[i - from] = logit; });
  __syncthreads();
  for (int e = row.bias_begin + threadIdx.x; e < row.bias_end; e += kThreads) {
    const SampleEntry entry = a.entries[e];
    if (entry.token >= from && entry.token < to) atomicAdd(&shared->piece[entry.token - from], bits_to_float(entry.value));
  }
  __syncthreads();
  for (int e = row.count_begin + threadIdx.x; e < row.count_end; e += kThreads) {
    const SampleEntry entry = a.entries[e];
    if (entry.token < from || entry.token >= to) continue;
    float& logit = shared->piece[entry.token - from];
    if (logit > -INFINITY) logit = penalised(logit, row, static_cast<int32_t>(entry.value));
  }
  __syncthreads();
  float* out = adjusted_of_place(a, blockIdx.y);
  uint64_t best = 0;
  for (int i = from + threadIdx.x; i < to; i += kThreads) {
    const float logit = shared->piece[i - from];
    out[i] = logit;
    best = max(best, choice_key(logit, i));
  }
  best = warp_max(best);
  if (threadIdx.x % kWarpSize == 0) shared->best_of_warp[threadIdx.x / kWarpSize] = best;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int w = 1; w < kWarps; w++) best = max(best, shared->best_of_warp[w]);
  choices_of_place(a, blockIdx.y)[blockIdx.x] = best;
}

}  // namespace

void launch_adjust(const SampleArgs& args, int first, int n, cudaStream_t stream) {
  LAUNCH(adjust_kernel, dim3(ceil_div(args.vocab, kSamplePiece), n), kThreads, sizeof(Shared), stream, args, first);
}

}  // namespace quire::cuda
