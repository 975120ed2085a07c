// Whole rows moved: embedding, gather, copies of cache blocks.
#include "quant.cuh"
#include "rows.h"

namespace quire::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void embed_kernel(EmbedArgs a) {
  start_after_previous();
  const int t = blockIdx.x;
  const int64_t token = a.token[t];
  for (int column = threadIdx.x * kVector; column < a.cols; column += blockDim.x * kVector) {
    float values[kVector];
    load8(values, static_cast<const bf16*>(a.weight) + token * a.cols + column);
#pragma unroll
    for (int e = 0; e < kVector; e++) values[e] *= a.scale;
    store8(a.out + static_cast<int64_t>(t) * a.cols + column, values);
  }
}

/// A thread takes the 8 columns that one lane holds of a tile's row.
template <WeightFormat kFormat>
__global__ void embed_tiles_kernel(EmbedArgs a) {
  start_after_previous();
  using Tile = QuantTile<kFormat>;
  const int t = blockIdx.x, token = a.token[t], row = token % kTileRows, half = row / 8;
  const uint8_t* tiles = static_cast<const uint8_t*>(a.weight) + static_cast<int64_t>(token / kTileRows) * (a.cols / kTileColumns) * Tile::kBytes;
  for (int column = threadIdx.x * kVector; column < a.cols; column += blockDim.x * kVector) {
    const int group = column % kTileColumns / kGroup;
    Tile tile;
    tile.load(tiles + static_cast<int64_t>(column / kTileColumns) * Tile::kBytes, row % 8 * 4 + column % kGroup / 8);
    const float2 factor = tile.factor(group, half);
    float values[kVector];
#pragma unroll
    for (int step = 0; step < 2; step++) {
      uint32_t pairs[4];
      tile.operands(pairs, group, step);
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const float2 weights = weights_of<kFormat>(pairs[2 * i + half], factor);
        values[4 * step + 2 * i] = weights.x * a.scale;
        values[4 * step + 2 * i + 1] = weights.y * a.scale;
      }
    }
    store8(a.out + static_cast<int64_t>(t) * a.cols + column, values);
  }
}

__global__ void carry_tokens_kernel(CarryArgs a) {
  start_after_previous();
  const int t = blockIdx.x * kThreads + threadIdx.x;
  if (t >= a.tokens || a.carry[t] < 0) return;
  a.token[t] = max(0, min(a.drawn[a.carry[t]], a.vocab - 1));
}

__global__ void repeat_row_kernel(const float* row, bf16* out, int cols, int stride) {
  start_after_previous();
  for (int c = threadIdx.x; c < cols; c += kThreads) out[static_cast<int64_t>(blockIdx.x) * stride + c] = to_bf16(row[c]);
}

__global__ void gather_rows_kernel(const bf16* x, const int32_t* row, bf16* out, int cols) {
  start_after_previous();
  const uint4* from = reinterpret_cast<const uint4*>(x + static_cast<int64_t>(row[blockIdx.x]) * cols);
  uint4* to = reinterpret_cast<uint4*>(out + static_cast<int64_t>(blockIdx.x) * cols);
  for (int i = threadIdx.x; i < cols / kVector; i += blockDim.x) to[i] = from[i];
}

__global__ void place_columns_kernel(const float* parts, float* out, int cols, int out_cols) {
  start_after_previous();
  const int row = blockIdx.x, rows = gridDim.x;
  for (int c = blockIdx.y * blockDim.x + threadIdx.x; c < out_cols; c += gridDim.y * blockDim.x) {
    out[static_cast<int64_t>(row) * out_cols + c] = parts[(static_cast<int64_t>(c / cols) * rows + row) * cols + c % cols];
  }
}

__global__ void copy_blocks_kernel(uint8_t* base, const int32_t* pairs, int64_t region_bytes, int64_t block_bytes) {
  start_after_previous();
  uint8_t* region = base + blockIdx.y * region_bytes;
  const uint4* from = reinterpret_cast<const uint4*>(region + pairs[2 * blockIdx.x] * block_bytes);
  uint4* to = reinterpret_cast<uint4*>(region + pairs[2 * blockIdx.x + 1] * block_bytes);
  for (int64_t i = threadIdx.x; i < block_bytes / 16; i += blockDim.x) to[i] = from[i];
}

__global__ void swap_blocks_kernel(SwapArgs a) {
  start_after_previous();
  const int32_t* pair = a.pairs + 2 * blockIdx.x;
  uint4* device = reinterpret_cast<uint4*>(a.device + blockIdx.y * a.region_bytes + pair[a.out ? 0 : 1] * a.block_bytes);
  uint4* host = reinterpret_cast<uint4*>(a.host + (static_cast<int64_t>(pair[a.out ? 1 : 0]) * a.regions + blockIdx.y) * a.block_bytes);
  const uint4* from = a.out ? device : host;
  uint4* to = a.out ? host : device;
  for (int64_t i = threadIdx.x; i < a.block_bytes / 16; i += blockDim.x) to[i] = from[i];
}

}  // namespace

cudaError_t embed(const EmbedArgs& args, cudaStream_t stream) {
  auto kernel = args.format == WeightFormat::kBf16   ? embed_kernel
                : args.format == WeightFormat::kInt4 ? embed_tiles_kernel<WeightFormat::kInt4>
                : args.format == WeightFormat::kInt8 ? embed_tiles_kernel<WeightFormat::kInt8>
                                                     : embed_tiles_kernel<WeightFormat::kFloat8>;
  LAUNCH(kernel, args.tokens, kThreads, 0, stream, args);
  return launched();
}

cudaError_t carry_tokens(const CarryArgs& a, cudaStream_t stream) {
  LAUNCH(carry_tokens_kernel, ceil_div(a.tokens, kThreads), kThreads, 0, stream, a);
  return launched();
}

cudaError_t repeat_row(const float* row, bf16* out, int rows, int cols, int stride, cudaStream_t stream) {
  LAUNCH(repeat_row_kernel, rows, kThreads, 0, stream, row, out, cols, stride);
  return launched();
}

cudaError_t gather_rows(const bf16* x, const int32_t* row, bf16* out, int rows, int cols, cudaStream_t stream) {
  LAUNCH(gather_rows_kernel, rows, kThreads, 0, stream, x, row, out, cols);
  return launched();
}

cudaError_t place_columns(const float* parts, float* out, int rows, int cols, int out_cols, cudaStream_t stream) {
  constexpr int kRounds = 8;
  LAUNCH(place_columns_kernel, dim3(rows, ceil_div(out_cols, kRounds * kThreads)), kThreads, 0, stream, parts, out, cols,
         out_cols);
  return launched();
}

cudaError_t copy_blocks(void* base, const int32_t* pairs, int n, int64_t region_bytes, int64_t block_bytes, int regions,
                        cudaStream_t stream) {
  LAUNCH(copy_blocks_kernel, dim3(n, regions), kThreads, 0, stream, static_cast<uint8_t*>(base), pairs, region_bytes,
         block_bytes);
  return launched();
}

cudaError_t swap_blocks(const SwapArgs& args, cudaStream_t stream) {
  LAUNCH(swap_blocks_kernel, dim3(args.n, args.regions), kThreads, 0, stream, args);
  return launched();
}

}  // namespace quire::cuda
