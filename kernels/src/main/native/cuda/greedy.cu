// Arg-max of logits: each block reads a piece of a row, then one warp per row takes the best of the pieces.
#include "logit_key.cuh"
#include "sample.h"

namespace quire::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpSize;
constexpr int kPiece = 8192;

__global__ void greedy_pieces_kernel(GreedyArgs a) {
  start_after_previous();
  DYN_SMEM(uint64_t, best_of_warp);
  const float* row = a.logits + static_cast<int64_t>(blockIdx.y) * a.stride;
  const int end = min(a.vocab, static_cast<int>(blockIdx.x + 1) * kPiece);
  uint64_t best = 0;
#pragma unroll 4
  for (int i = blockIdx.x * kPiece + threadIdx.x * 4; i < end; i += kThreads * 4) {
    const float4 v = *reinterpret_cast<const float4*>(row + i);
    const float values[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int e = 0; e < 4; e++) best = i + e < end ? max(best, choice_key(logit_key(values[e]), i + e)) : best;
  }
  best = warp_max(best);
  if (threadIdx.x % kWarpSize == 0) best_of_warp[threadIdx.x / kWarpSize] = best;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int w = 1; w < kWarps; w++) best = max(best, best_of_warp[w]);
  a.workspace[blockIdx.y * gridDim.x + blockIdx.x] = best;
}

__global__ void greedy_rows_kernel(GreedyArgs a, int pieces) {
  start_after_previous();
  uint64_t best = 0;
  for (int i = threadIdx.x; i < pieces; i += kWarpSize) best = max(best, a.workspace[blockIdx.x * pieces + i]);
  best = warp_max(best);
  if (threadIdx.x == 0) a.token[blockIdx.x] = chosen_token(best);
}

}  // namespace

int64_t greedy_workspace(int rows, int vocab) { return static_cast<int64_t>(rows) * ceil_div(vocab, kPiece); }

cudaError_t greedy(const GreedyArgs& args, cudaStream_t stream) {
  if (args.stride % 4 != 0 || args.stride < args.vocab) return cudaErrorInvalidValue;
  const int pieces = ceil_div(args.vocab, kPiece);
  LAUNCH(greedy_pieces_kernel, dim3(pieces, args.rows), kThreads, kWarps * sizeof(uint64_t), stream, args);
  LAUNCH(greedy_rows_kernel, args.rows, kWarpSize, 0, stream, args, pieces);
  return launched();
}

}  // namespace quire::cuda
