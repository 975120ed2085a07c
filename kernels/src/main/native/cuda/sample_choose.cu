// The largest logit of each row, and the samples for which that is all: each block reads a piece of a row, then one warp per
// sample takes the best of the pieces.
#include "sample_row.cuh"

namespace quire::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpSize;

__global__ void pieces_kernel(SampleArgs a) {
  start_after_previous();
  DYN_SMEM(uint64_t, best_of_warp);
  const int from = blockIdx.x * kSamplePiece, to = min(a.vocab, from + kSamplePiece);
  uint64_t best = 0;
  for_row(a.logits + static_cast<int64_t>(blockIdx.y) * a.stride, from, to, threadIdx.x, kThreads,
          [&](int i, float logit) { best = max(best, choice_key(logit, i)); });
  best = warp_max(best);
  if (threadIdx.x % kWarpSize == 0) best_of_warp[threadIdx.x / kWarpSize] = best;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int w = 1; w < kWarps; w++) best = max(best, best_of_warp[w]);
  choices_of_row(a, blockIdx.y)[blockIdx.x] = best;
}

/// A sample that is drawn gets its token later, unless it is -1 here.
__global__ void choose_kernel(SampleArgs a) {
  start_after_previous();
  const QrSampleRow& row = a.samples[blockIdx.x];
  const uint64_t best = best_of_pieces(choices_of_row(a, row.row), a.vocab);
  if (threadIdx.x != 0) return;
  const int token = chosen_token(best);
  best_of_sample(a, blockIdx.x) = best;
  a.token[blockIdx.x] = token < 0 || row.target < 0 ? token : row.target < a.vocab ? row.target : -1;
  a.logprob[blockIdx.x] = 0;
}

}  // namespace

void launch_choose(const SampleArgs& args, cudaStream_t stream) {
  LAUNCH(pieces_kernel, dim3(ceil_div(args.vocab, kSamplePiece), args.rows), kThreads, kWarps * sizeof(uint64_t), stream, args);
  LAUNCH(choose_kernel, args.n, kWarpSize, 0, stream, args);
}

}  // namespace quire::cuda
