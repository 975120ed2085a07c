#include "float8.h"

#include "kv_codes.cuh"
#include "quant.cuh"

namespace quire::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarpSize;

/// A block a row.
__global__ void __launch_bounds__(kThreads) quantise_rows_kernel(const bf16* x, uint8_t* codes, float* scale, int k) {
  start_after_previous();
  DYN_SMEM(uint32_t, largest_of_warp);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * k;
  uint32_t bits = 0;  // of the largest magnitude, NaN above all
  for (int c = threadIdx.x * kVector; c < k; c += kThreads * kVector) {
    float values[kVector];
    load8(values, x + first + c);
    for (float value : values) bits = max(bits, float_to_bits(value) & 0x7fffffffu);
  }
  for (int step = kWarpSize / 2; step > 0; step /= 2) bits = max(bits, __shfl_xor_sync(kAllLanes, bits, step));
  if (threadIdx.x % kWarpSize == 0) largest_of_warp[threadIdx.x / kWarpSize] = bits;
  __syncthreads();
  for (int w = 0; w < kWarps; w++) bits = max(bits, largest_of_warp[w]);
  const float largest = bits_to_float(bits), factor = largest > 0x1p-100f ? most_code(KvKind::kFp8) / largest : 0.0f;
  if (threadIdx.x == 0) scale[blockIdx.x] = largest / most_code(KvKind::kFp8);
  for (int c = threadIdx.x * kVector; c < k; c += kThreads * kVector) {
    float values[kVector];
    load8(values, x + first + c);
    uint32_t words[2] = {};
#pragma unroll
    for (int e = 0; e < kVector; e++) words[e / 4] |= code_of(values[e] * factor, KvKind::kFp8) << 8 * (e % 4);
    *reinterpret_cast<uint2*>(codes + first + c) = {words[0], words[1]};
  }
}

/// A warp a tile.
__global__ void __launch_bounds__(kThreads) untile_float8_kernel(const uint8_t* tiles, uint8_t* codes, float* scale, int k) {
  start_after_previous();
  using Tile = QuantTile<WeightFormat::kFloat8>;
  const int lane = threadIdx.x % kWarpSize, across = blockIdx.x * kWarps + threadIdx.x / kWarpSize;
  if (across >= k / kTileColumns) return;
  Tile tile;
  tile.load(tiles + (static_cast<int64_t>(blockIdx.y) * (k / kTileColumns) + across) * Tile::kBytes, lane);
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int64_t row = blockIdx.y * kTileRows + lane / 4 + half * 8;
#pragma unroll
    for (int group = 0; group < 2; group++) {
      const uint4& q = tile.quants[group];
      const uint32_t words[4] = {q.x, q.y, q.z, q.w};
      uint32_t out[2] = {};
#pragma unroll
      for (int w = 0; w < 4; w++) {  // columns 2w, 2w + 1 of the lane's eight: bytes half and half + 2
        const uint32_t pair = words[w] >> 8 * half;
        out[w / 2] |= ((pair & 0xffu) | (pair >> 8 & 0xff00u)) << 16 * (w % 2);
      }
      *reinterpret_cast<uint2*>(codes + row * k + across * kTileColumns + group * kGroup + lane % 4 * 8) = {out[0], out[1]};
    }
    if (across == 0 && lane % 4 == 0) scale[row] = tile.factor(0, half).x / kFloat8Unit;
  }
}

}  // namespace

cudaError_t quantise_rows(const bf16* x, uint8_t* codes, float* scale, int rows, int k, cudaStream_t stream) {
  if (k % kVector != 0) return cudaErrorInvalidValue;
  LAUNCH(quantise_rows_kernel, rows, kThreads, kWarps * sizeof(uint32_t), stream, x, codes, scale, k);
  return launched();
}

cudaError_t untile_float8(const uint8_t* tiles, uint8_t* codes, float* scale, int n, int k, cudaStream_t stream) {
  if (k % kTileColumns != 0 || n % kTileRows != 0) return cudaErrorInvalidValue;
  LAUNCH(untile_float8_kernel, dim3(ceil_div(k / kTileColumns, kWarps), n / kTileRows), kThreads, 0, stream, tiles, codes, scale, k);
  return launched();
}

}  // namespace quire::cuda
