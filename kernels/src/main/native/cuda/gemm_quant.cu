// Matrix product of quantised weights with more than a few rows: a block takes 128 rows of W by 64 rows of x and a
// slice of k. Packed tiles and x go through a cp.async ring; a warp turns its 32 rows of W into bf16 operands in
// registers, once for 64 rows of x. Slices are written as float32 and added up in fixed order.
#include "gemm_out.cuh"
#include "quant.cuh"

namespace quire::cuda {
namespace {

constexpr int kWarps = 4, kThreads = kWarps * kWarpSize;
constexpr int kRowsW = 128, kRowsX = 64, kStages = 4;
constexpr int kTilesPerWarp = kRowsW / kTileRows / kWarps;
/// 192 bytes: the 16-byte reads of two rows by four lanes each fall on all banks.
constexpr int kStrideX = kTileColumns + 32;
constexpr int kBytesX = kRowsX * kStrideX * static_cast<int>(sizeof(bf16));

template <WeightFormat kFormat>
constexpr int kStage = kBytesX + kRowsW / kTileRows * tile_bytes(kFormat);

/// bf16 operands of one group's two steps.
template <WeightFormat kFormat>
__device__ __forceinline__ void dequantised(uint32_t (&a)[2][4], const QuantTile<kFormat>& tile, int group) {
  const float2 upper = tile.factor(group, 0), lower = tile.factor(group, 1);
#pragma unroll
  for (int step = 0; step < 2; step++) {
    uint32_t quants[4];
    tile.operands(quants, group, step);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const float2 weights = weights_of<kFormat>(quants[i], i % 2 == 0 ? upper : lower);
      a[step][i] = pack_bf16(weights.x, weights.y);
    }
  }
}

template <WeightFormat kFormat>
__global__ void __launch_bounds__(kThreads) gemm_quant_kernel(GemmArgs g, int slices) {
  start_after_previous();
  DYN_SMEM(uint8_t, ring);
  const int warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const int block_w = blockIdx.x, first_x = blockIdx.y * kRowsX, slice = blockIdx.z;
  const int all = g.k / kTileColumns, steps = ceil_div(all, slices);
  const int begin = slice * steps, end = min(all, begin + steps);
  const uint8_t* weight = static_cast<const uint8_t*>(g.weight);

  auto load = [&](int step) {
    if (step < end) {
      uint8_t* stage = ring + (step - begin) % kStages * kStage<kFormat>;
      constexpr int kVectors = kTileColumns / kVector;
#pragma unroll
      for (int i = 0; i < kRowsX * kVectors / kThreads; i++) {
        const int vector = i * kThreads + threadIdx.x, row = vector / kVectors, at = vector % kVectors * kVector;
        const bool inside = first_x + row < g.rows;
        const int64_t from = inside ? static_cast<int64_t>(first_x + row) * g.k + step * kTileColumns + at : 0;
        cp_async16(reinterpret_cast<bf16*>(stage) + row * kStrideX + at, g.x + from, inside ? 16 : 0);
      }
      constexpr int kBytes = tile_bytes(kFormat), kPieces = kBytes / 16;
      for (int piece = threadIdx.x; piece < kRowsW / kTileRows * kPieces; piece += kThreads) {
        const int tile = piece / kPieces, at = piece % kPieces * 16;
        const int64_t which = static_cast<int64_t>(block_w * (kRowsW / kTileRows) + tile) * all + step;
        cp_async16(stage + kBytesX + tile * kBytes + at, weight + which * kBytes + at);
      }
    }
    cp_async_commit();
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; i++) load(begin + i);

  constexpr int NT = kRowsX / 8;
  float sums[kTilesPerWarp][NT][4] = {};
  for (int step = begin; step < end; step++) {
    cp_async_wait<kStages - 2>();
    __syncthreads();
    load(step + kStages - 1);
    const uint8_t* stage = ring + (step - begin) % kStages * kStage<kFormat>;
    const bf16* x_at = reinterpret_cast<const bf16*>(stage) + lane / 4 * kStrideX + lane % 4 * 8;
    QuantTile<kFormat> tiles[kTilesPerWarp];
#pragma unroll
    for (int m = 0; m < kTilesPerWarp; m++) {
      tiles[m].load_shared(stage + kBytesX + (warp * kTilesPerWarp + m) * tile_bytes(kFormat), lane);
    }
#pragma unroll
    for (int group = 0; group < 2; group++) {
      uint32_t a[kTilesPerWarp][2][4];
#pragma unroll
      for (int m = 0; m < kTilesPerWarp; m++) dequantised<kFormat>(a[m], tiles[m], group);
#pragma unroll
      for (int n = 0; n < NT; n++) {
        const uint4 x = *reinterpret_cast<const uint4*>(x_at + n * 8 * kStrideX + group * kGroup);
        const uint32_t b[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
        for (int m = 0; m < kTilesPerWarp; m++) {
          mma_bf16(sums[m][n], a[m][0], b);
          mma_bf16(sums[m][n], a[m][1], b + 2);
        }
      }
    }
  }
  cp_async_wait<0>();

  // Lane (g, t) holds rows g, g + 8 of W by rows 2t, 2t + 1 of x; its neighbour in g has the next column of out.
  float* out = g.slices + static_cast<int64_t>(slice) * g.rows * g.n;
#pragma unroll
  for (int m = 0; m < kTilesPerWarp; m++) {
#pragma unroll
    for (int n = 0; n < NT; n++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int row = first_x + n * 8 + lane % 4 * 2 + i % 2;
        const int column = block_w * kRowsW + (warp * kTilesPerWarp + m) * kTileRows + lane / 4 + i / 2 * 8;
        if (row < g.rows) out[static_cast<int64_t>(row) * g.n + column] = sums[m][n][i];
      }
    }
  }
}

__global__ void add_slices_kernel(GemmArgs g, int slices) {
  start_after_previous();
  const int64_t pairs = static_cast<int64_t>(g.rows) * g.n / 2;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < pairs;
       i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    float2 sum = make_float2(0, 0);
    for (int s = 0; s < slices; s++) {
      const float2 part = reinterpret_cast<const float2*>(g.slices)[s * pairs + i];
      sum.x += part.x;
      sum.y += part.y;
    }
    put_pair(g, static_cast<int>(2 * i / g.n), static_cast<int>(2 * i % g.n), sum.x, sum.y);
  }
}

template <WeightFormat kFormat>
cudaError_t run(const GemmArgs& args, cudaStream_t stream) {
  auto kernel = gemm_quant_kernel<kFormat>;
  const size_t shared = static_cast<size_t>(kStages) * kStage<kFormat>;
  allow_shared(kernel, shared);
  const int slices = gemm_slices(args.n, args.k);
  const int64_t pairs = static_cast<int64_t>(args.rows) * (args.n / 2);
  LAUNCH(kernel, dim3(args.n / kRowsW, ceil_div(args.rows, kRowsX), slices), kThreads, shared, stream, args, slices);
  const int64_t blocks = (pairs + 255) / 256, most = resident_blocks(8);
  LAUNCH(add_slices_kernel, static_cast<int>(blocks < most ? blocks : most), 256, 0, stream, args, slices);
  return launched();
}

}  // namespace

int gemm_slices(int n, int k) {
  // About 256 blocks for the fewest rows, and no slice shorter than 512 columns.
  const int wanted = max(1, 256 / (n / kRowsW)), most = max(1, k / 512);
  const int slices = min(wanted, most), steps = ceil_div(k / kTileColumns, slices);
  return ceil_div(k / kTileColumns, steps);
}

int64_t gemm_workspace(int rows, int n, int k) { return static_cast<int64_t>(gemm_slices(n, k)) * rows * n; }

cudaError_t gemm_quant(WeightFormat format, const GemmArgs& args, cudaStream_t stream) {
  if (args.k % kTileColumns != 0 || args.n % kRowsW != 0) return cudaErrorInvalidValue;
  switch (format) {
    case WeightFormat::kInt4: return run<WeightFormat::kInt4>(args, stream);
    case WeightFormat::kInt8: return run<WeightFormat::kInt8>(args, stream);
    default: return run<WeightFormat::kFloat8>(args, stream);
  }
}

}  // namespace quire::cuda
