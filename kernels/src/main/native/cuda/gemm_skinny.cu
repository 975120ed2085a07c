// Matrix product with few rows: bound by reading the weights once, so they go from memory straight into the tensor
// cores' operands. out^T[16 columns, 8 rows] = W[16, k] x^T[k, 8]: the weights are the 16-row operand, and x needs
// padding to 8 rows only. Eight warps of a block share 16 rows of W and split k; they are added up in fixed order.
// Groups of quantised weights are summed as the integers they are, and scaled in float32.
#include "gemm_out.cuh"
#include "quant.cuh"

namespace quire::cuda {
namespace {

constexpr int kWarps = 8;

/// The rows of x for one group of 32 columns: b operands of its two steps, for each 8 rows.
template <int NT>
__device__ __forceinline__ void load_x(uint4 (&x)[NT], const GemmArgs& g, int column, int lane) {
#pragma unroll
  for (int n = 0; n < NT; n++) {
    const int row = n * 8 + lane / 4;
    x[n] = make_uint4(0, 0, 0, 0);
    if (row < g.rows) x[n] = load_early(g.x + static_cast<int64_t>(row) * g.k + column + lane % 4 * 8);
  }
}

template <int NT>
struct Sums {
  float value[NT][4] = {};
};

/// bf16 rows of W, row by row: the lane's columns are those of quant.cuh, 16 bytes of rows g and g + 8 per group.
template <int NT>
struct Bf16Stream {
  static constexpr int kUnroll = 2;
  const bf16* at;  // row g, the lane's first column
  int64_t below;   // elements to row g + 8

  uint4 w[kUnroll][2][2], x[kUnroll][2][NT];

  __device__ __forceinline__ Bf16Stream(const GemmArgs& g, int tile, int lane)
      : at(static_cast<const bf16*>(g.weight) + static_cast<int64_t>(tile * kTileRows + lane / 4) * g.k + lane % 4 * 8),
        below(static_cast<int64_t>(8) * g.k) {}
  __device__ __forceinline__ void load_weight(int u, int step, int) {
#pragma unroll
    for (int h = 0; h < 2; h++) {
      w[u][h][0] = load_streaming(at + step * kTileColumns + h * kGroup);
      w[u][h][1] = load_streaming(at + below + step * kTileColumns + h * kGroup);
    }
  }
  __device__ __forceinline__ void load_rows(const GemmArgs& g, int u, int step, int lane) {
#pragma unroll
    for (int h = 0; h < 2; h++) load_x<NT>(x[u][h], g, step * kTileColumns + h * kGroup, lane);
  }
  __device__ __forceinline__ void multiply(Sums<NT>& sums, int u) const {
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const uint32_t first[4] = {w[u][h][0].x, w[u][h][1].x, w[u][h][0].y, w[u][h][1].y};
      const uint32_t second[4] = {w[u][h][0].z, w[u][h][1].z, w[u][h][0].w, w[u][h][1].w};
#pragma unroll
      for (int n = 0; n < NT; n++) {
        const uint32_t b[4] = {x[u][h][n].x, x[u][h][n].y, x[u][h][n].z, x[u][h][n].w};
        mma_bf16(sums.value[n], first, b);
        mma_bf16(sums.value[n], second, b + 2);
      }
    }
  }
};

template <WeightFormat kFormat, int NT>
struct QuantStream {
  static constexpr int kUnroll = kFormat == WeightFormat::kInt4 ? 4 : 2;
  const uint8_t* at;
  QuantTile<kFormat> w[kUnroll];
  uint4 x[kUnroll][2][NT];

  __device__ __forceinline__ QuantStream(const GemmArgs& g, int tile, int)
      : at(static_cast<const uint8_t*>(g.weight) +
           static_cast<int64_t>(tile) * (g.k / kTileColumns) * QuantTile<kFormat>::kBytes) {}
  __device__ __forceinline__ void load_weight(int u, int step, int lane) {
    w[u].load(at + static_cast<int64_t>(step) * QuantTile<kFormat>::kBytes, lane);
  }
  __device__ __forceinline__ void load_rows(const GemmArgs& g, int u, int step, int lane) {
#pragma unroll
    for (int h = 0; h < 2; h++) load_x<NT>(x[u][h], g, step * kTileColumns + h * kGroup, lane);
  }
  __device__ __forceinline__ void multiply(Sums<NT>& sums, int u) const {
    constexpr bool kShifted = kFormat == WeightFormat::kInt4;
    constexpr uint32_t ones[4] = {kOnes, kOnes, kOnes, kOnes};
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const float2 upper = w[u].factor(h, 0), lower = w[u].factor(h, 1);
      uint32_t a[2][4];
      w[u].operands(a[0], h, 0);
      w[u].operands(a[1], h, 1);
#pragma unroll
      for (int n = 0; n < NT; n++) {
        const uint32_t b[4] = {x[u][h][n].x, x[u][h][n].y, x[u][h][n].z, x[u][h][n].w};
        float products[4] = {}, total[4] = {};  // total: the sum of x over the group, in every row
        mma_bf16(products, a[0], b);
        mma_bf16(products, a[1], b + 2);
        if (kShifted) {
          mma_bf16(total, ones, b);
          mma_bf16(total, ones, b + 2);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const float2 factor = i < 2 ? upper : lower;
          float sum = sums.value[n][i] + factor.x * products[i];
          if (kShifted) sum += (factor.y - QuantTile<kFormat>::kOffset * factor.x) * total[i % 2];
          sums.value[n][i] = sum;
        }
      }
    }
  }
};

template <int U, class Stream>
__device__ __forceinline__ void load_weights(Stream& stream, int step, int lane) {
#pragma unroll
  for (int u = 0; u < U; u++) stream.load_weight(u, step + u * kWarps, lane);
}

/// The rows of x of U steps, whose weights are loaded or under way, and the products.
template <int U, class Stream, int NT>
__device__ __forceinline__ void multiply_steps(Stream& stream, Sums<NT>& sums, const GemmArgs& g, int step, int lane) {
#pragma unroll
  for (int u = 0; u < U; u++) stream.load_rows(g, u, step + u * kWarps, lane);
  __syncwarp();  // without it the compiler moves loads behind the products
#pragma unroll
  for (int u = 0; u < U; u++) stream.multiply(sums, u);
}

/// 16 columns of out for all rows of g. kStarted: the kernel before has ended, as the caller has waited for it.
template <class Stream, int NT, bool kStarted>
__device__ __forceinline__ void multiply_tile(const GemmArgs& g, int tile) {
  DYN_SMEM(float, parts);  // [warp][row of x][16]
  const int warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  constexpr int kRows = 8 * NT, U = Stream::kUnroll;
  const int steps = g.k / kTileColumns;
  Stream stream(g, tile, lane);
  Sums<NT> sums;
  int step = warp;
  // The weights do not depend on the kernel before: the first are under way while it ends.
  const bool many = step + (U - 1) * kWarps < steps;
  if (many) {
    load_weights<U>(stream, step, lane);
    if (!kStarted) start_after_previous();
    multiply_steps<U>(stream, sums, g, step, lane);
    step += U * kWarps;
  } else if (!kStarted) {
    start_after_previous();
  }
  for (; step + (U - 1) * kWarps < steps; step += U * kWarps) {
    load_weights<U>(stream, step, lane);
    multiply_steps<U>(stream, sums, g, step, lane);
  }
  for (; step < steps; step += kWarps) {
    load_weights<1>(stream, step, lane);
    multiply_steps<1>(stream, sums, g, step, lane);
  }
#pragma unroll
  for (int n = 0; n < NT; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      parts[(warp * kRows + n * 8 + lane % 4 * 2 + i % 2) * kTileRows + lane / 4 + i / 2 * 8] = sums.value[n][i];
    }
  }
  __syncthreads();
  if (threadIdx.x < kRows * kTileRows / 2) {
    const int row = threadIdx.x / (kTileRows / 2), column = threadIdx.x % (kTileRows / 2) * 2;
    float first = 0, second = 0;
#pragma unroll
    for (int w = 0; w < kWarps; w++) {
      const float2 part = *reinterpret_cast<const float2*>(parts + (w * kRows + row) * kTileRows + column);
      first += part.x;
      second += part.y;
    }
    if (row < g.rows) put_pair(g, row, tile * kTileRows + column, first, second);
  }
}

template <class Stream, int NT>
__global__ void __launch_bounds__(kWarps* kWarpSize) gemm_skinny_kernel(GemmArgs g) {
  multiply_tile<Stream, NT, false>(g, blockIdx.x);
}

/// Whose weights are read is known only when the kernel before has ended.
template <class Stream, int NT>
__global__ void __launch_bounds__(kWarps* kWarpSize) gemm_experts_kernel(GemmArgs g, ExpertTiles experts) {
  start_after_previous();
  const ExpertTile tile = experts.tiles[blockIdx.y];
  if (tile.rows == 0) return;
  g.x += static_cast<int64_t>(tile.first) * g.k;
  g.weight = static_cast<const uint8_t*>(g.weight) + tile.expert * experts.expert_bytes;
  g.out = static_cast<bf16*>(g.out) + static_cast<int64_t>(tile.first) * g.stride;
  g.rows = tile.rows;
  multiply_tile<Stream, NT, true>(g, blockIdx.x);
}

constexpr size_t shared_bytes(int nt) { return kWarps * 8 * static_cast<size_t>(nt) * kTileRows * sizeof(float); }

template <class Stream, int NT>
cudaError_t run_experts(const GemmArgs& args, const ExpertTiles& tiles, cudaStream_t stream) {
  auto kernel = gemm_experts_kernel<Stream, NT>;
  LAUNCH(kernel, dim3(args.n / kTileRows, tiles.count), kWarps * kWarpSize, shared_bytes(NT), stream, args, tiles);
  return launched();
}

template <int NT>
cudaError_t run_experts_format(WeightFormat format, const GemmArgs& args, const ExpertTiles& tiles, cudaStream_t stream) {
  switch (format) {
    case WeightFormat::kBf16: return run_experts<Bf16Stream<NT>, NT>(args, tiles, stream);
    case WeightFormat::kInt4: return run_experts<QuantStream<WeightFormat::kInt4, NT>, NT>(args, tiles, stream);
    case WeightFormat::kInt8: return run_experts<QuantStream<WeightFormat::kInt8, NT>, NT>(args, tiles, stream);
    default: return run_experts<QuantStream<WeightFormat::kFloat8, NT>, NT>(args, tiles, stream);
  }
}

template <class Stream, int NT>
cudaError_t run(const GemmArgs& args, cudaStream_t stream) {
  auto kernel = gemm_skinny_kernel<Stream, NT>;
  LAUNCH(kernel, args.n / kTileRows, kWarps * kWarpSize, shared_bytes(NT), stream, args);
  return launched();
}

template <int NT>
cudaError_t run_format(WeightFormat format, const GemmArgs& args, cudaStream_t stream) {
  switch (format) {
    case WeightFormat::kBf16: return run<Bf16Stream<NT>, NT>(args, stream);
    case WeightFormat::kInt4: return run<QuantStream<WeightFormat::kInt4, NT>, NT>(args, stream);
    case WeightFormat::kInt8: return run<QuantStream<WeightFormat::kInt8, NT>, NT>(args, stream);
    default: return run<QuantStream<WeightFormat::kFloat8, NT>, NT>(args, stream);
  }
}

}  // namespace

cudaError_t gemm_skinny(WeightFormat format, const GemmArgs& args, cudaStream_t stream) {
  if (args.k % kTileColumns != 0 || args.n % kTileRows != 0 || args.rows > kSkinnyRows) return cudaErrorInvalidValue;
  return args.rows <= 8 ? run_format<1>(format, args, stream) : run_format<2>(format, args, stream);
}

cudaError_t gemm_experts(WeightFormat format, const GemmArgs& args, const ExpertTiles& tiles, cudaStream_t stream) {
  if (args.k % kTileColumns != 0 || args.n % kTileRows != 0 || tiles.rows > kSkinnyRows) return cudaErrorInvalidValue;
  return tiles.rows <= 8 ? run_experts_format<1>(format, args, tiles, stream) : run_experts_format<2>(format, args, tiles, stream);
}

}  // namespace quire::cuda
