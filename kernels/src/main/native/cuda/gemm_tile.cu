// bf16 matrix product, tier 1: BM x BN tiles of out, k in steps of 64 through a cp.async ring, mma.sync m16n8k16.
// Warps of 64 x 64 read shared memory for half as long as their tensor cores compute.
#include "gemm_out.cuh"

namespace quire::cuda {
namespace {

constexpr int kStep = 64;
constexpr int kStride = kStep + kVector;  // an odd number of 16 bytes: no bank conflicts

template <int BM, int BN, int WM, int WN, int kStages>
struct Tile {
  static constexpr int kWarpsM = BM / WM, kWarpsN = BN / WN, kThreads = kWarpsM * kWarpsN * kWarpSize;
  static constexpr int kStage = (BM + BN) * kStride;
  static constexpr size_t kShared = static_cast<size_t>(kStages) * kStage * sizeof(bf16);
};

/// Starts the copy of `count` rows of 64 columns; what lies outside [rows, k] becomes zero.
template <int kRows, int kThreads>
__device__ __forceinline__ void load_rows(bf16* to, const bf16* from, int first, int rows, int column, int k) {
  constexpr int kVectors = kStep / kVector;
#pragma unroll
  for (int i = 0; i < kRows * kVectors / kThreads; i++) {
    const int vector = i * kThreads + threadIdx.x, row = vector / kVectors, at = vector % kVectors * kVector;
    const bool inside = first + row < rows && column + at < k;
    const int64_t offset = inside ? static_cast<int64_t>(first + row) * k + column + at : 0;
    cp_async16(to + row * kStride + at, from + offset, inside ? 16 : 0);
  }
}

/// Rows [first_row, first_row + BM) and columns [first_column, first_column + BN) of out.
template <int BM, int BN, int WM, int WN, int kStages>
__device__ __forceinline__ void multiply_block(const GemmArgs& g, int first_row, int first_column) {
  using Shape = Tile<BM, BN, WM, WN, kStages>;
  constexpr int MT = WM / 16, NT = WN / 8;
  DYN_SMEM(bf16, ring);
  const int warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const int own_row = warp % Shape::kWarpsM * WM, own_column = warp / Shape::kWarpsM * WN;
  const int steps = ceil_div(g.k, kStep);
  const bf16* weight = static_cast<const bf16*>(g.weight);

  auto load = [&](int step) {
    if (step < steps) {
      bf16* stage = ring + step % kStages * Shape::kStage;
      load_rows<BM, Shape::kThreads>(stage, g.x, first_row, g.rows, step * kStep, g.k);
      load_rows<BN, Shape::kThreads>(stage + BM * kStride, weight, first_column, g.n, step * kStep, g.k);
    }
    cp_async_commit();
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; i++) load(i);

  float sums[MT][NT][4] = {};
  for (int step = 0; step < steps; step++) {
    cp_async_wait<kStages - 2>();
    __syncthreads();  // the step has landed, and all have left the stage that is loaded next
    load(step + kStages - 1);
    const bf16* x_rows = ring + step % kStages * Shape::kStage;
    const bf16* x_at = x_rows + (own_row + lane % 16) * kStride + lane / 16 * 8;
    const bf16* w_at = x_rows + (BM + own_column + lane / 16 * 8 + lane % 8) * kStride + lane / 8 % 2 * 8;
#pragma unroll
    for (int k = 0; k < kStep; k += 16) {
      uint32_t a[MT][4], b[NT / 2][4];
#pragma unroll
      for (int m = 0; m < MT; m++) ldmatrix_x4(a[m], x_at + m * 16 * kStride + k);
#pragma unroll
      for (int n = 0; n < NT / 2; n++) ldmatrix_x4(b[n], w_at + n * 16 * kStride + k);
#pragma unroll
      for (int m = 0; m < MT; m++) {
#pragma unroll
        for (int n = 0; n < NT; n++) mma_bf16(sums[m][n], a[m], b[n / 2] + n % 2 * 2);
      }
    }
  }
  cp_async_wait<0>();

#pragma unroll
  for (int m = 0; m < MT; m++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = first_row + own_row + m * 16 + half * 8 + lane / 4;
      if (row >= g.rows) continue;
#pragma unroll
      for (int n = 0; n < NT; n++) {
        const int column = first_column + own_column + n * 8 + lane % 4 * 2;
        if (column < g.n) put_pair(g, row, column, sums[m][n][2 * half], sums[m][n][2 * half + 1]);
      }
    }
  }
}

template <int BM, int BN, int WM, int WN, int kStages>
__global__ void __launch_bounds__(Tile<BM, BN, WM, WN, kStages>::kThreads, 2) gemm_tile_kernel(GemmArgs g) {
  start_after_previous();
  // Tiles of rows are the inner index: blocks that run together read the same weights.
  const int tiles_m = ceil_div(g.rows, BM), block = static_cast<int>(blockIdx.x);
  multiply_block<BM, BN, WM, WN, kStages>(g, block % tiles_m * BM, block / tiles_m * BN);
}

/// Those of the tiles whose expert is one of [first, end), whose weights begin at g.weight.
template <int BM, int BN, int WM, int WN, int kStages>
__global__ void __launch_bounds__(Tile<BM, BN, WM, WN, kStages>::kThreads, 2)
    gemm_experts_tile_kernel(GemmArgs g, ExpertTiles experts, int first, int end) {
  start_after_previous();
  const ExpertTile tile = experts.tiles[blockIdx.x];
  if (tile.rows == 0 || tile.expert < first || tile.expert >= end) return;
  g.x += static_cast<int64_t>(tile.first) * g.k;
  g.weight = static_cast<const bf16*>(g.weight) + static_cast<int64_t>(tile.expert - first) * g.n * g.k;
  g.out = static_cast<bf16*>(g.out) + static_cast<int64_t>(tile.first) * g.stride;
  g.rows = tile.rows;
  multiply_block<BM, BN, WM, WN, kStages>(g, 0, blockIdx.y * BN);
}

template <int BM, int BN, int WM, int WN, int kStages>
cudaError_t run(const GemmArgs& args, cudaStream_t stream) {
  using Shape = Tile<BM, BN, WM, WN, kStages>;
  auto kernel = gemm_tile_kernel<BM, BN, WM, WN, kStages>;
  allow_shared(kernel, Shape::kShared);
  LAUNCH(kernel, ceil_div(args.rows, BM) * ceil_div(args.n, BN), Shape::kThreads, Shape::kShared, stream, args);
  return launched();
}

template <int BM, int BN, int WM, int WN, int kStages>
cudaError_t run_experts(const GemmArgs& args, const ExpertTiles& tiles, int first, int end, cudaStream_t stream) {
  using Shape = Tile<BM, BN, WM, WN, kStages>;
  auto kernel = gemm_experts_tile_kernel<BM, BN, WM, WN, kStages>;
  allow_shared(kernel, Shape::kShared);
  LAUNCH(kernel, dim3(tiles.count, ceil_div(args.n, BN)), Shape::kThreads, Shape::kShared, stream, args, tiles, first, end);
  return launched();
}

}  // namespace

cudaError_t gemm_tile(const GemmArgs& args, cudaStream_t stream) {
  if (args.k % kVector != 0) return cudaErrorInvalidValue;
  return args.rows > 64 ? run<128, 128, 64, 64, 3>(args, stream) : run<64, 64, 32, 32, 5>(args, stream);
}

cudaError_t gemm_experts_tile(const GemmArgs& args, const ExpertTiles& tiles, int first, int end, cudaStream_t stream) {
  if (args.k % kVector != 0 || tiles.rows > kMostTileRows) return cudaErrorInvalidValue;
  return tiles.rows > 64 ? run_experts<128, 128, 64, 64, 3>(args, tiles, first, end, stream)
                         : run_experts<64, 64, 32, 32, 5>(args, tiles, first, end, stream);
}

}  // namespace quire::cuda
