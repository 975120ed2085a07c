// Attention, tier 1: adds up the partial results of a token, split by split in the order of positions.
#include "attention.h"

namespace quire::cuda {
namespace {

constexpr int kWarps = 4;

/// One warp per token and head; lane l holds vectors of four columns l, l + 32, ...
template <int D>
__global__ void attention_merge_kernel(AttentionArgs a) {
  start_after_previous();
  constexpr int kPerLane = (D / 4 + kWarpSize - 1) / kWarpSize;
  const int lane = threadIdx.x % kWarpSize, total = a.counts->merges * a.heads;
  for (int work = blockIdx.x * kWarps + threadIdx.x / kWarpSize; work < total; work += gridDim.x * kWarps) {
    const AttentionMerge merge = a.merges[work / a.heads];
    const int head = work % a.heads;
    float most = -INFINITY;
    for (int i = lane; i < merge.splits; i += kWarpSize) {
      most = fmaxf(most, a.partial_stats[static_cast<int64_t>(merge.partial + i * merge.stride) * a.heads + head].x);
    }
    most = warp_max(most);
    float4 sums[kPerLane] = {};
    float weights = 0;
#pragma unroll 4
    for (int i = 0; i < merge.splits; i++) {
      const int64_t slot = static_cast<int64_t>(merge.partial + i * merge.stride) * a.heads + head;
      const float2 stats = a.partial_stats[slot];
      const float keep = exp2_approx(stats.x - most);
      weights += stats.y * keep;
#pragma unroll
      for (int c = 0; c < kPerLane; c++) {
        const int column = (c * kWarpSize + lane) * 4;
        if (column >= D) continue;
        const float4 part = *reinterpret_cast<const float4*>(a.partial_out + slot * D + column);
        sums[c].x += part.x * keep;
        sums[c].y += part.y * keep;
        sums[c].z += part.z * keep;
        sums[c].w += part.w * keep;
      }
    }
    const float inverse = weights > 0 ? 1.0f / weights : 0.0f;
#pragma unroll
    for (int c = 0; c < kPerLane; c++) {
      const int column = (c * kWarpSize + lane) * 4;
      if (column >= D) continue;
      bf16* to = a.out + (static_cast<int64_t>(merge.query) * a.heads + head) * D + column;
      *reinterpret_cast<uint2*>(to) = {pack_bf16(sums[c].x * inverse, sums[c].y * inverse),
                                       pack_bf16(sums[c].z * inverse, sums[c].w * inverse)};
    }
  }
}

template <int D>
cudaError_t run(const AttentionArgs& args, int capacity, cudaStream_t stream) {
  const int grid = min(ceil_div(capacity * args.heads, kWarps), resident_blocks(8));
  auto kernel = attention_merge_kernel<D>;
  LAUNCH(kernel, grid, kWarps * kWarpSize, 0, stream, args);
  return launched();
}

}  // namespace

cudaError_t attention_merge(const AttentionArgs& args, int capacity, cudaStream_t stream) {
  return with_head_dim(args.head_dim, [&](auto dim) { return run<decltype(dim)::value>(args, capacity, stream); });
}

}  // namespace quire::cuda
