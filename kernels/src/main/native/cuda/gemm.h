// Matrix products out[T, n] = x[T, k] W[n, k]^T (+ bias[n]) (+ out), sums in float32.
//
// Weights are bf16 as they are in the file, row by row, or quantised in groups of 32 along k and repacked once into
// tiles of 16 rows by 64 columns, in the order in which the lanes of a warp feed the tensor cores.
#ifndef QUIRE_CUDA_GEMM_H
#define QUIRE_CUDA_GEMM_H

#include <vector>

#include "device.cuh"

namespace quire::cuda {

struct GemmArgs {
  const bf16* x;       // [rows, k]
  const void* weight;  // bf16 [n, k], or packed tiles
  void* out;           // [rows, n], bf16 or float, a row every `stride` elements
  const float* bias;   // [n], or null
  int32_t rows, n, k;
  int32_t stride;      // at least n
  int32_t add;         // 1: adds to what out holds
  int32_t out_float;   // 1: out is float, as for logits
  float* slices;       // of gemm_quant: gemm_workspace floats
  uint8_t* dense;      // of a product of quantised weights with many rows: as product_workspace says
  uint8_t* codes;      // of one that takes x in 8 bits: likewise
  int32_t float8;      // 1: kFloat8 weights with a scale a row, and x may be rounded to 8 bits
};

enum class WeightFormat { kBf16, kInt4, kInt8, kFloat8 };

/// Up to here a product is bound by reading the weights and runs on the skinny kernel.
constexpr int kSkinnyRows = 16;

/// One thread per output, one product at a time: the oracle. bf16 weights.
cudaError_t gemm_plain(const GemmArgs& args, cudaStream_t stream);
/// bf16 weights, any rows, k % 8 == 0: tiles through shared memory. The fallback where cuBLASLt is absent.
cudaError_t gemm_tile(const GemmArgs& args, cudaStream_t stream);
/// At most 16 rows, k % 64 == 0, n % 16 == 0, any format: weights go from memory to the tensor cores directly.
cudaError_t gemm_skinny(WeightFormat format, const GemmArgs& args, cudaStream_t stream);
/// Rows [first, first + rows) of x and out, which are sorted by expert, and the expert that multiplies them. Empty: rows 0.
struct ExpertTile {
  int32_t expert, first, rows;
};
struct ExpertTiles {
  const ExpertTile* tiles;
  int32_t count, rows;   // tiles; rows of a tile at most
  int64_t expert_bytes;  // from one expert's weights to the next one's
};
/// As gemm_skinny, each tile of at most 16 rows with its expert's weights [n, k]; args.rows is not read, out is bf16.
cudaError_t gemm_experts(WeightFormat format, const GemmArgs& args, const ExpertTiles& tiles, cudaStream_t stream);
/// As gemm_tile, tiles of up to kMostTileRows rows, those of the experts [first, end), whose weights args.weight holds.
cudaError_t gemm_experts_tile(const GemmArgs& args, const ExpertTiles& tiles, int first, int end, cudaStream_t stream);
constexpr int kMostTileRows = 128;
/// Quantised weights, any rows, k % 64 == 0, n % 128 == 0.
cudaError_t gemm_quant(WeightFormat format, const GemmArgs& args, cudaStream_t stream);
/// Slices of k that gemm_quant adds up, by the shape alone; and the floats of workspace it needs.
int gemm_slices(int n, int k);
int64_t gemm_workspace(int rows, int n, int k);
/// The weights as bf16 [n, k], for many rows.
cudaError_t dequantise(WeightFormat format, const void* weight, bf16* out, int n, int k, cudaStream_t stream);

constexpr int kTileRows = 16, kTileColumns = 64, kGroup = 32;
__host__ __device__ constexpr int tile_bytes(WeightFormat format) { return format == WeightFormat::kInt4 ? 640 : 1088; }

/// Packs on the host. int4: w = q * scale + minimum, q in 0..15; int8: w = q * scale, q in -128..127; float8: w = q *
/// scale, q the code of an E4M3 number, and the halves hold scale * kFloat8Unit.
/// q [n, k]; scale, minimum [n, k / 32] as IEEE half. Layout: see quant.cuh.
std::vector<uint8_t> pack_int4(const std::vector<uint8_t>& q, const std::vector<uint16_t>& scale,
                               const std::vector<uint16_t>& minimum, int n, int k);
std::vector<uint8_t> pack_int8(const std::vector<int8_t>& q, const std::vector<uint16_t>& scale, int n, int k);
std::vector<uint8_t> pack_float8(const std::vector<uint8_t>& q, const std::vector<uint16_t>& scale, int n, int k);
/// Brings the scales of 8-bit floats, 1e-4 or less for small weights, into the range of halves.
constexpr float kFloat8Unit = 4096;

}  // namespace quire::cuda

#endif
