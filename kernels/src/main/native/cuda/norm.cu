// RMS norm, with the residual's sum before it: one block per row, the row in registers between the two passes.
#include "rows.h"

namespace quire::cuda {
namespace {

template <int kPerThread>
__global__ void __launch_bounds__(1024) rms_norm_kernel(NormArgs a) {
  DYN_SMEM(float, sums);  // [warps]
  const int vectors = a.cols / kVector, warps = blockDim.x / kWarpSize;
  const int64_t start = static_cast<int64_t>(blockIdx.x) * a.cols;
  float values[kPerThread][kVector];
  float weight[kPerThread][kVector] = {};  // asked for before the rows of x that it waits for
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    const int vector = i * blockDim.x + threadIdx.x;
    if (vector >= vectors) continue;
    const float4* from = reinterpret_cast<const float4*>(a.weight + vector * kVector);
    const float4 low = from[0], high = from[1];
    const float all[kVector] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
    for (int e = 0; e < kVector; e++) weight[i][e] = all[e];
  }
  start_after_previous();
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    const int vector = i * blockDim.x + threadIdx.x;
    if (vector >= vectors) continue;
    load8(values[i], a.x + start + vector * kVector);
    if (a.delta != nullptr) {
      float delta[kVector];
      load8(delta, a.delta + start + vector * kVector);
#pragma unroll
      for (int e = 0; e < kVector; e++) values[i][e] = to_float(to_bf16(values[i][e] + delta[e]));
      store8(a.x + start + vector * kVector, values[i]);
    }
#pragma unroll
    for (int e = 0; e < kVector; e++) sum += values[i][e] * values[i][e];
  }
  sum = warp_sum(sum);
  if (threadIdx.x % kWarpSize == 0) sums[threadIdx.x / kWarpSize] = sum;
  __syncthreads();
  const int lane = threadIdx.x % kWarpSize;
  const float inverse = rsqrtf(warp_sum(lane < warps ? sums[lane] : 0.0f) / static_cast<float>(a.cols) + a.eps);
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    const int vector = i * blockDim.x + threadIdx.x;
    if (vector >= vectors) continue;
#pragma unroll
    for (int e = 0; e < kVector; e++) values[i][e] *= inverse * weight[i][e];
    store8(a.out + start + vector * kVector, values[i]);
  }
}

}  // namespace

cudaError_t rms_norm(const NormArgs& args, cudaStream_t stream) {
  const int vectors = args.cols / kVector;
  const int threads = min(1024, ceil_div(vectors, kWarpSize) * kWarpSize), per_thread = ceil_div(vectors, threads);
  if (args.cols % kVector != 0 || per_thread > 4) return cudaErrorInvalidValue;
  auto kernel = per_thread == 1 ? rms_norm_kernel<1> : per_thread == 2 ? rms_norm_kernel<2> : rms_norm_kernel<4>;
  LAUNCH(kernel, args.rows, threads, kWarpSize * sizeof(float), stream, args);
  return launched();
}

}  // namespace quire::cuda
