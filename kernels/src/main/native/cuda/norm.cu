// RMS norm, with the residual's sum before it: one block per row, the row in registers between the two passes unless it
// is too long for them.
#include "rows.h"

namespace quire::cuda {
namespace {

constexpr int kMostThreads = 1024;
constexpr int kMostPerThread = 2;  // vectors in registers; the values and weights of four do not fit beside 1024 threads

__device__ __forceinline__ void load_weight(float out[kVector], const float* from) {
  const float4 low = reinterpret_cast<const float4*>(from)[0], high = reinterpret_cast<const float4*>(from)[1];
  const float all[kVector] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
  for (int e = 0; e < kVector; e++) out[e] = all[e];
}

/// 8 of x, with those of delta added where it is given, also in x; the sum of their squares.
__device__ __forceinline__ float load_sums(float out[kVector], const NormArgs& a, int64_t at) {
  load8(out, a.x + at);
  if (a.delta != nullptr) {
    float delta[kVector];
    load8(delta, a.delta + at);
#pragma unroll
    for (int e = 0; e < kVector; e++) out[e] = to_float(to_bf16(out[e] + delta[e]));
    store8(a.x + at, out);
  }
  float squares = 0;
#pragma unroll
  for (int e = 0; e < kVector; e++) squares += out[e] * out[e];
  return squares;
}

__device__ __forceinline__ void store_scaled(const NormArgs& a, int64_t at, float values[kVector], float inverse,
                                             const float weight[kVector]) {
#pragma unroll
  for (int e = 0; e < kVector; e++) values[e] *= inverse * weight[e];
  store8(a.out + at, values);
}

/// What the row is multiplied by, from each thread's squares; in every thread. sums: [warps].
__device__ __forceinline__ float inverse_norm(const NormArgs& a, float squares, float* sums) {
  const int lane = threadIdx.x % kWarpSize, warps = blockDim.x / kWarpSize;
  squares = warp_sum(squares);
  if (lane == 0) sums[threadIdx.x / kWarpSize] = squares;
  __syncthreads();
  return rsqrtf(warp_sum(lane < warps ? sums[lane] : 0.0f) / static_cast<float>(a.cols) + a.eps);
}

template <int kPerThread>
__global__ void __launch_bounds__(kMostThreads) rms_norm_kernel(NormArgs a) {
  DYN_SMEM(float, sums);
  const int vectors = a.cols / kVector;
  const int64_t start = static_cast<int64_t>(blockIdx.x) * a.cols;
  float values[kPerThread][kVector];
  float weight[kPerThread][kVector] = {};  // asked for before the rows of x that it waits for
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    const int vector = i * blockDim.x + threadIdx.x;
    if (vector < vectors) load_weight(weight[i], a.weight + vector * kVector);
  }
  start_after_previous();
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    const int vector = i * blockDim.x + threadIdx.x;
    if (vector < vectors) squares += load_sums(values[i], a, start + vector * kVector);
  }
  const float inverse = inverse_norm(a, squares, sums);
#pragma unroll
  for (int i = 0; i < kPerThread; i++) {
    const int vector = i * blockDim.x + threadIdx.x;
    if (vector < vectors) store_scaled(a, start + vector * kVector, values[i], inverse, weight[i]);
  }
}

/// Rows of any length: the second pass reads x again, from the cache.
__global__ void __launch_bounds__(kMostThreads) rms_norm_long_kernel(NormArgs a) {
  start_after_previous();
  DYN_SMEM(float, sums);
  const int64_t start = static_cast<int64_t>(blockIdx.x) * a.cols;
  float values[kVector], weight[kVector], squares = 0;
  for (int column = threadIdx.x * kVector; column < a.cols; column += blockDim.x * kVector) {
    squares += load_sums(values, a, start + column);
  }
  const float inverse = inverse_norm(a, squares, sums);
  for (int column = threadIdx.x * kVector; column < a.cols; column += blockDim.x * kVector) {
    load_weight(weight, a.weight + column);
    load8(values, a.x + start + column);
    store_scaled(a, start + column, values, inverse, weight);
  }
}

}  // namespace

cudaError_t rms_norm(const NormArgs& args, cudaStream_t stream) {
  if (args.cols % kVector != 0) return cudaErrorInvalidValue;
  const int vectors = args.cols / kVector;
  const int threads = min(kMostThreads, ceil_div(vectors, kWarpSize) * kWarpSize), per_thread = ceil_div(vectors, threads);
  auto kernel = per_thread == 1                ? rms_norm_kernel<1>
                : per_thread <= kMostPerThread ? rms_norm_kernel<kMostPerThread>
                                               : rms_norm_long_kernel;
  LAUNCH(kernel, args.rows, threads, kWarpSize * sizeof(float), stream, args);
  return launched();
}

}  // namespace quire::cuda
